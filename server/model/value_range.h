#ifndef PREDICTD_SERVER_MODEL_VALUE_RANGE_H_
#define PREDICTD_SERVER_MODEL_VALUE_RANGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "server/model/element.h"
#include "server/model/tensor.h"

namespace predictd {

// The numbers that a tensor may hold, both ends included, as elements of its type. What is no number is in no range.
struct ValueRange {
  ElementBytes least{};
  ElementBytes most{};
};

// Whether it is no BOOL and no BYTES: what has an order.
bool HasRanges(DType dtype);

// Whether `least` is no more than `most`.
bool IsRange(DType dtype, const ValueRange& range);

// Whether the element is in the range.
bool InRange(DType dtype, const ValueRange& range, const ElementBytes& element);

// The first element of the tensor that is not in the range, by its index in C order; nullopt if all are.
std::optional<int64_t> FindOutside(const Tensor& tensor, const ValueRange& range);

// "2.5".
std::string ElementName(DType dtype, const std::byte* element);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_VALUE_RANGE_H_
