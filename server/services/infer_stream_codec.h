#ifndef PREDICTD_SERVER_SERVICES_INFER_STREAM_CODEC_H_
#define PREDICTD_SERVER_SERVICES_INFER_STREAM_CODEC_H_

#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/statusor.h"

namespace predictd {

// By what a caller recognises which of its requests on a stream an answer is for.
struct InferLabels {
  std::string model_name;
  std::string model_version;
  std::string id;
};

// Reads them from a ModelInferRequest whose other contents may be anything: requests are refused before they are
// parsed, too. A label that is not found soon, that is too long, or that is no UTF-8 stays empty.
InferLabels ReadInferLabels(grpc::ByteBuffer& request);

// Makes a ModelStreamInferResponse of a ModelInferResponse, without copying it. `last` says whether it is the last
// answer to its request. RESOURCE_EXHAUSTED if it is too large for a message.
absl::StatusOr<grpc::ByteBuffer> WrapInferAnswer(const grpc::ByteBuffer& answer, bool last);

// The ModelStreamInferResponse that says what is wrong with a request.
absl::StatusOr<grpc::ByteBuffer> EncodeInferError(const google::rpc::Status& error, const InferLabels& labels);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_STREAM_CODEC_H_
