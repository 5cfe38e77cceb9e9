#ifndef PREDICTD_SERVER_SERVICES_INFER_PARAMETERS_H_
#define PREDICTD_SERVER_SERVICES_INFER_PARAMETERS_H_

#include <google/protobuf/map.h>
#include <inference/grpc_service.pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/model/waiting_order.h"
#include "server/services/field_errors.h"

namespace predictd {

using InferParameterMap = google::protobuf::Map<std::string, inference::InferParameter>;

// The parameters of a ModelInferRequest that mean the same for all models.
struct InferParameters {
  int64_t priority = kDefaultPriority;
  // Not set if the call's own deadline is all.
  std::optional<Duration> timeout = {};
  bool cache = true;
  // Whether a stream of answers is to end with an empty one.
  bool empty_final_response = false;
  // The names of the others, sorted.
  std::vector<std::string> others = {};
};

// Reads the parameters of the request itself. Those that ask for an answer that the server does not give are errors.
InferParameters ReadInferParameters(const inference::ModelInferRequest& request, FieldErrors& errors);

// Does the same for those of an input or output at `path`, of which none has an effect but those of shared memory. Of a
// tensor that is `shared`, these are left to infer_shared_memory.h. `raw_bytes` is the size of an input's raw contents,
// if it has any. Adds the names of those that are no error to `ignored`.
void CheckTensorParameters(const InferParameterMap& parameters, absl::string_view path, bool shared,
                           std::optional<size_t> raw_bytes, std::vector<std::string>& ignored, FieldErrors& errors);

// The path of a parameter: parameters["name"].
std::string ParameterPath(absl::string_view name);

// What the Open Inference Protocol's text of a version names: a number, where 0 stands for none, or a label of
// model.toml.
struct VersionName {
  int64_t number = 0;
  // A part of the text; empty if that is a number.
  absl::string_view label = "";
};

// Reads it. Adds an error for the field `path` if it is a number that no version has.
VersionName ReadVersion(const std::string& text, absl::string_view path, FieldErrors& errors);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_PARAMETERS_H_
