// Converts numbers of one element type to another.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CAST_H_
#define PREDICTD_CLIENT_PREDICTCTL_CAST_H_

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

using Number = std::variant<std::int64_t, std::uint64_t, double>;

// Appends the number to the raw elements of `type`. Floats are rounded to the nearest; otherwise a conversion must not
// change the value. INVALID_ARGUMENT for a fraction as an integer, for anything but 0 and 1 as BOOL, for a number
// beyond the type's range, and for a type without numbers.
absl::Status AppendNumber(const Number& number, v1::DataType type, std::string& raw);

// Converts a well-formed raw tensor to another type, by the same rules; an error names the place, as in "at [1][0]". A
// tensor that already has the type is returned as it is.
absl::StatusOr<v1::Tensor> CastTensor(v1::Tensor tensor, v1::DataType type);

// "[1][0]": the place of the element with that index in C order; empty for a scalar.
std::string PlaceText(std::int64_t index, const v1::Tensor& tensor);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CAST_H_
