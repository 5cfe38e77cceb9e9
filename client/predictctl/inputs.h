// The inputs of a prediction, as the command line names them.
#ifndef PREDICTD_CLIENT_PREDICTCTL_INPUTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_INPUTS_H_

#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "client/predictctl/row_range.h"
#include "predictd/v1/model_service.pb.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// An input that has been read, but may still lack what only the model's signature says.
struct Input {
  // Empty: the model's only input.
  std::string name;
  // An array from an .npy file, or nested JSON arrays, whose type the signature names.
  std::variant<v1::Tensor, nlohmann::json> value;
};

// Reads `specs` ("[NAME=]@FILE" with an .npy or JSON file, "[NAME=]JSON") and `objects` (files with a JSON object of
// names and nested arrays). The file "-" is `standard_input`. What cannot be read: INVALID_ARGUMENT that names it.
absl::StatusOr<std::vector<Input>> ReadInputs(const std::vector<std::string>& specs,
                                              const std::vector<std::string>& objects, std::istream& standard_input);

// Whether ResolveInputs needs the model.
bool NeedSignature(const std::vector<Input>& inputs);

// Raw tensors with names, cut to `rows` if given. `model` may be empty if NeedSignature says so. An input that the
// model does not have, and values that do not suit its type: INVALID_ARGUMENT that names the input.
absl::StatusOr<std::vector<v1::Tensor>> ResolveInputs(std::vector<Input> inputs, const v1::Model& model,
                                                      const std::optional<RowRange>& rows);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INPUTS_H_
