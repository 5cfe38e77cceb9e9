#ifndef PREDICTD_SERVER_MODEL_VALUE_RANGE_H_
#define PREDICTD_SERVER_MODEL_VALUE_RANGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "server/model/element.h"
#include "server/model/tensor.h"

namespace predictd {

// The numbers that a tensor may hold, both ends included, as elements of its type. NaN is in no range.
struct ValueRange {
  ElementBytes least{};
  ElementBytes most{};
};

// Whether the type has an order: any type but BOOL and BYTES.
bool HasRanges(DType dtype);

// Whether `least` is no more than `most`.
bool IsRange(DType dtype, const ValueRange& range);

bool InRange(DType dtype, const ValueRange& range, const ElementBytes& element);

// The index in C order of the first element that is not in the range; nullopt if all are.
std::optional<int64_t> FindOutside(const Tensor& tensor, const ValueRange& range);

// Formats the element's value: "2.5".
std::string ElementName(DType dtype, const std::byte* element);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_VALUE_RANGE_H_
