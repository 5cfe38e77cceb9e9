// The two 16-bit floating-point formats, as bits with conversions.
#ifndef PREDICTD_CLIENT_HALF_FLOAT_H_
#define PREDICTD_CLIENT_HALF_FLOAT_H_

#include <cstdint>

namespace predictd {

// IEEE 754 binary16.
struct Half {
  std::uint16_t bits = 0;
};

// The upper half of an IEEE 754 binary32.
struct BFloat16 {
  std::uint16_t bits = 0;
};

// Exact.
float ToFloat(Half value);
float ToFloat(BFloat16 value);

// Round to nearest even; beyond the range: infinity; NaN stays NaN.
Half ToHalf(float value);
BFloat16 ToBFloat16(float value);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_HALF_FLOAT_H_
