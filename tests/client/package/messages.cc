// Writes a request and reads it again.
#include "predictd/v1/prediction_service.pb.h"

int main() {
  predictd::v1::PredictRequest written;
  written.set_model_name("digits");
  predictd::v1::PredictRequest read;
  return read.ParseFromString(written.SerializeAsString()) && read.model_name() == "digits" ? 0 : 1;
}
