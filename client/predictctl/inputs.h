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
  // Empty means the model's only input.
  std::string name;
  // An array from an .npy file, or nested JSON arrays, whose type comes from the signature.
  std::variant<v1::Tensor, nlohmann::json> value;
};

// Reads `specs` ("[NAME=]@FILE" with an .npy or JSON file, "[NAME=]JSON", or "[NAME=]-" for "[NAME=]@-") and `objects`
// (files with a JSON object of names and nested arrays). The file "-" is `standard_input`, which can be read once.
// INVALID_ARGUMENT, with the name of the source, if one cannot be read.
absl::StatusOr<std::vector<Input>> ReadInputs(const std::vector<std::string>& specs,
                                              const std::vector<std::string>& objects, std::istream& standard_input);

// Whether ResolveInputs needs the model when it does not cast; when it casts, it always does.
bool NeedSignature(const std::vector<Input>& inputs);

// Raw tensors with names, cut to `rows` if given, and with `cast` converted to the types of the signature. `model` may
// be empty if NeedSignature returns false. INVALID_ARGUMENT, with the name of the input, for an input that the model
// does not have and for values that do not suit its type.
absl::StatusOr<std::vector<v1::Tensor>> ResolveInputs(std::vector<Input> inputs, const v1::Model& model,
                                                      const std::optional<RowRange>& rows, bool cast = false);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INPUTS_H_
