// Tensors written as nested JSON arrays.
#ifndef PREDICTD_CLIENT_PREDICTCTL_JSON_TENSOR_H_
#define PREDICTD_CLIENT_PREDICTCTL_JSON_TENSOR_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Parses a JSON text. A syntax error, or a key twice in the outermost object: INVALID_ARGUMENT with the place.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

// A raw tensor without a name, whose shape is the nesting: [[1,2],[3,4]] is [2,2], a lone number is a scalar.
// BOOL takes true and false; integers take integers in their range; floats take numbers and "NaN", "Infinity",
// "-Infinity"; BYTES takes strings. Ragged nesting, other values, and finite numbers beyond the type's range:
// INVALID_ARGUMENT with the place, as in "[1][0]".
absl::StatusOr<v1::Tensor> TensorFromJson(const nlohmann::json& value, v1::DataType type);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_JSON_TENSOR_H_
