#ifndef PREDICTD_SERVER_SERVICES_INFER_SAMPLING_H_
#define PREDICTD_SERVER_SERVICES_INFER_SAMPLING_H_

#include <inference/grpc_service.pb.h>
#include <predictd/v1/generation.pb.h>

#include <string>

#include "absl/strings/string_view.h"
#include "server/services/field_errors.h"

namespace predictd {

// What stands before the name of a sampling parameter in the paths of errors, whichever way it came.
inline constexpr absl::string_view kSamplingPath = "sampling_parameters.";

// Sets the field of the generation that a parameter of a request means. The names are those that Triton's backend for
// vLLM knows. False if the name is none of them. A value of the wrong type is an error.
bool ReadSamplingParameter(const std::string& name, const inference::InferParameter& parameter,
                           v1::GenerationRequest& generation, FieldErrors& errors);

// Does the same for a JSON object of such parameters, of which an unknown name is an error. Values may be numbers or
// text with a number.
void ReadSamplingJson(const std::string& json, v1::GenerationRequest& generation, FieldErrors& errors);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_SAMPLING_H_
