#ifndef PREDICTD_SERVER_MODEL_HALF_FLOAT_H_
#define PREDICTD_SERVER_MODEL_HALF_FLOAT_H_

#include <bit>
#include <cmath>
#include <cstdint>

namespace predictd {

// The 16-bit floating-point formats, between their bits and float. To 16 bits: rounded to nearest even; what is too
// large becomes infinity.

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
