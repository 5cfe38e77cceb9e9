#include "client/half_float.h"

#include <bit>
#include <cmath>

namespace predictd {
inline namespace client {
namespace {

constexpr std::uint32_t kFloatInfinity = 0x7f800000;
constexpr int kDroppedBits = 23 - 10;  // Mantissa bits that a float has and a half has not.

// The parts of a double.
constexpr int kDoubleMantissaBits = 52;
constexpr int kDoubleBias = 1023;
constexpr std::uint64_t kDoubleInfinity = std::uint64_t{0x7ff} << kDoubleMantissaBits;

// value / 2^shift, rounded to nearest even. 0 < shift < 64.
std::uint64_t ShiftRightToEven(std::uint64_t value, int shift) {
  const std::uint64_t odd = (value >> shift) & 1;
  return (value + (std::uint64_t{1} << (shift - 1)) - 1 + odd) >> shift;
}

// The bits of the nearest value in a 16-bit format with that many bits for exponent and mantissa.
template <int kExponentBits>
std::uint16_t Rounded(double value) {
  constexpr int kMantissaBits = 15 - kExponentBits;
  constexpr int kBias = (1 << (kExponentBits - 1)) - 1;
  constexpr std::uint64_t kInfinity = std::uint64_t{(1 << kExponentBits) - 1} << kMantissaBits;
  constexpr int kDropped = kDoubleMantissaBits - kMantissaBits;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint64_t sign = bits >> 48 & 0x8000;
  const std::uint64_t magnitude = bits & ~(std::uint64_t{1} << 63);
  const int exponent = static_cast<int>(magnitude >> kDoubleMantissaBits) - kDoubleBias + kBias;
  std::uint64_t rounded = 0;
  if (magnitude > kDoubleInfinity) {
    rounded = kInfinity | std::uint64_t{1} << (kMantissaBits - 1);
  } else if (exponent >= (1 << kExponentBits) - 1) {
    rounded = kInfinity;
  } else if (exponent >= 1) {
    // A carry out of the mantissa goes into the exponent, and from the largest exponent to infinity, as it should.
    rounded = ShiftRightToEven(magnitude - (static_cast<std::uint64_t>(kDoubleBias - kBias) << kDoubleMantissaBits),
                               kDropped);
  } else if (exponent >= -kMantissaBits) {
    const std::uint64_t one = std::uint64_t{1} << kDoubleMantissaBits;
    rounded = ShiftRightToEven((magnitude & (one - 1)) | one, kDropped + 1 - exponent);
  }
  return static_cast<std::uint16_t>(sign | rounded);
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

Half ToHalf(double value) {
  return Half{Rounded<5>(value)};
}

BFloat16 ToBFloat16(double value) {
  return BFloat16{Rounded<8>(value)};
}

}  // namespace client
}  // namespace predictd
