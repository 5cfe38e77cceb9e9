#include "client/half_float.h"

#include <bit>
#include <cmath>

namespace predictd {
namespace {

constexpr std::uint32_t kFloatInfinity = 0x7f800000;
constexpr int kDroppedBits = 23 - 10;  // Mantissa bits that a float has and a half has not.

// value / 2^shift, rounded to nearest even. 0 < shift < 32.
std::uint32_t ShiftRightToEven(std::uint32_t value, int shift) {
  const std::uint32_t odd = (value >> shift) & 1;
  return (value + (1U << (shift - 1)) - 1 + odd) >> shift;
}

}  // namespace

float ToFloat(Half value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1f;
  const std::uint32_t mantissa = value.bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | kFloatInfinity | mantissa << kDroppedBits);
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 127 - 15) << 23 | mantissa << kDroppedBits);
}

float ToFloat(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

Half ToHalf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const std::uint32_t magnitude = bits & 0x7fffffff;
  const int exponent = static_cast<int>(magnitude >> 23) - 127 + 15;
  std::uint32_t half = 0;
  if (magnitude > kFloatInfinity) {
    half = 0x7e00;
  } else if (exponent >= 0x1f) {
    half = 0x7c00;
  } else if (exponent >= 1) {
    // A carry out of the mantissa goes into the exponent, and from the largest exponent to infinity: as it should.
    half = ShiftRightToEven(magnitude - ((127U - 15U) << 23), kDroppedBits);
  } else if (exponent >= -10) {
    half = ShiftRightToEven((magnitude & 0x7fffff) | 0x800000, kDroppedBits + 1 - exponent);
  }
  return Half{static_cast<std::uint16_t>(sign | half)};
}

BFloat16 ToBFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > kFloatInfinity) return BFloat16{static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return BFloat16{static_cast<std::uint16_t>(ShiftRightToEven(bits & 0x7fffffff, 16) | (bits >> 16 & 0x8000))};
}

}  // namespace predictd
