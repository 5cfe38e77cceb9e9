// Tensors written as nested JSON arrays.
#ifndef PREDICTD_CLIENT_PREDICTCTL_JSON_TENSOR_H_
#define PREDICTD_CLIENT_PREDICTCTL_JSON_TENSOR_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// `value`, which comes from ParseJson, as a raw tensor without a name whose shape is the nesting: [[1,2],[3,4]] is
// [2,2], a lone number is a scalar. BOOL takes true and false; integers take integers in their range; floats take
// numbers, which are rounded once, and "NaN", "Infinity", "-Infinity"; BYTES takes strings. With `cast`, numbers and
// booleans are converted to each other as long as that changes no value: 1.0 is an integer, 1 is true.
// INVALID_ARGUMENT, with the place as in "[1][0]", for ragged nesting, other values, and finite numbers beyond the
// type's range.
absl::StatusOr<v1::Tensor> TensorFromJson(const nlohmann::json& value, v1::DataType type, bool cast = false);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_JSON_TENSOR_H_
