#ifndef PREDICTD_SERVER_MODEL_ELEMENT_H_
#define PREDICTD_SERVER_MODEL_ELEMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "server/model/dtype.h"

namespace predictd {

// One element as a tensor stores it: the first ByteWidth(dtype) bytes.
using ElementBytes = std::array<std::byte, 8>;

// The number as an element of that type. nullopt if the type cannot hold it: it is out of range, a fraction for an
// integer, neither 0 nor 1 for a BOOL, or the type is BYTES. Floats are rounded to the nearest.
std::optional<ElementBytes> ToElement(DType dtype, int64_t value);
std::optional<ElementBytes> ToElement(DType dtype, double value);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_ELEMENT_H_
