// The two 16-bit floating-point formats, as bits with conversions.
#ifndef PREDICTD_CLIENT_HALF_FLOAT_H_
#define PREDICTD_CLIENT_HALF_FLOAT_H_

#include <cstdint>

namespace predictd {
inline namespace client {

// IEEE 754 binary16.
struct Half {
  std::uint16_t bits = 0;
};

// The upper half of an IEEE 754 binary32.
struct BFloat16 {
  std::uint16_t bits = 0;
};

// These conversions are exact.
float ToFloat(Half value);
float ToFloat(BFloat16 value);

// These round to nearest even, and only once: a value that is rounded to a float on its way may end up one step off.
// Beyond the range the result is infinity, and NaN stays NaN.
Half ToHalf(double value);
BFloat16 ToBFloat16(double value);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_HALF_FLOAT_H_
