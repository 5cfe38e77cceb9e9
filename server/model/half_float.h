#ifndef PREDICTD_SERVER_MODEL_HALF_FLOAT_H_
#define PREDICTD_SERVER_MODEL_HALF_FLOAT_H_

#include <bit>
#include <cmath>
#include <cstdint>

namespace predictd {

// Conversions between float and the bits of the 16-bit floating-point formats. Conversion to 16 bits rounds to nearest
// even, and too large a value becomes infinity.

inline float Fp16ToFloat(uint16_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(bits));
}
inline uint16_t FloatToFp16(float value) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}

inline float Bf16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
inline uint16_t FloatToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  // The upper half alone could turn a NaN into an infinity.
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x0040U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_HALF_FLOAT_H_
