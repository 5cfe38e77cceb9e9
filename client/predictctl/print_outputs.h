// The outputs of a model, as a command shows them.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PRINT_OUTPUTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_PRINT_OUTPUTS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/print_tensor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Raw copies of an answer's outputs. INVALID_ARGUMENT for a malformed one.
absl::StatusOr<std::vector<v1::Tensor>> RawOutputs(const google::protobuf::RepeatedPtrField<v1::Tensor>& outputs);

// How tensors are printed: large ones are abbreviated, unless the user wants all.
PrintStyle StyleOf(const PredictArguments& arguments);

// Prints raw outputs, each after a line with its name, type and shape; with `argmax` also the index of each row's
// largest value, for outputs that have rows of numbers.
absl::Status PrintOutputs(const std::vector<v1::Tensor>& outputs, const PrintStyle& style, bool argmax,
                          std::ostream& out);

// The indices of the largest values for programs: {"logits": [7, 2]}.
nlohmann::ordered_json ArgMaxJson(const std::vector<v1::Tensor>& outputs);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PRINT_OUTPUTS_H_
