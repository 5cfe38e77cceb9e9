#include "server/model/half_float.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace predictd {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The value of an FP16 bit pattern by the definition of the format.
float Fp16ByDefinition(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int mantissa = bits & 0x3ff;
  float magnitude = 0;
  if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else if (exponent < 0x1f) {
    magnitude = std::ldexp(static_cast<float>(mantissa + 0x400), exponent - 25);
  } else {
    magnitude = mantissa == 0 ? kInfinity : std::numeric_limits<float>::quiet_NaN();
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Fp16Test, EveryPatternHasItsValueAndReturnsToItself) {
  for (uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const float expected = Fp16ByDefinition(bits);
    const float value = Fp16ToFloat(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << pattern;
      ASSERT_TRUE(std::isnan(Fp16ToFloat(FloatToFp16(value)))) << pattern;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(expected)) << pattern;
      ASSERT_EQ(FloatToFp16(value), bits) << pattern;
    }
  }
}

// Between any two neighbours, the middle rounds to the even one and the values beside it to the nearer one.
TEST(Fp16Test, EveryMiddleRoundsToEvenAndItsSidesToTheNearer) {
  for (uint16_t low = 0; low < 0x7bff; ++low) {
    const auto high = static_cast<uint16_t>(low + 1);
    const float middle = (Fp16ToFloat(low) + Fp16ToFloat(high)) / 2;
    ASSERT_EQ(FloatToFp16(middle), low % 2 == 0 ? low : high) << low;
    ASSERT_EQ(FloatToFp16(std::nextafter(middle, 0.0F)), low) << low;
    ASSERT_EQ(FloatToFp16(std::nextafter(middle, kInfinity)), high) << low;
    ASSERT_EQ(FloatToFp16(-middle), 0x8000 | (low % 2 == 0 ? low : high)) << low;
  }
}

TEST(Fp16Test, WhatIsTooLargeBecomesInfinity) {
  EXPECT_EQ(FloatToFp16(65504), 0x7bff);
  EXPECT_EQ(FloatToFp16(std::nextafter(65520.0F, 0.0F)), 0x7bff);
  EXPECT_EQ(FloatToFp16(65520), 0x7c00);
  EXPECT_EQ(FloatToFp16(-65520), 0xfc00);
  EXPECT_EQ(FloatToFp16(std::numeric_limits<float>::max()), 0x7c00);
  EXPECT_EQ(FloatToFp16(kInfinity), 0x7c00);
}

TEST(Fp16Test, WhatIsTooSmallBecomesZeroOfTheSameSign) {
  EXPECT_EQ(FloatToFp16(std::ldexp(1.0F, -25)), 0);
  EXPECT_EQ(FloatToFp16(-std::ldexp(1.0F, -25)), 0x8000);
  EXPECT_EQ(FloatToFp16(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(FloatToFp16(-0.0F), 0x8000);
}

TEST(Bf16Test, EveryPatternIsTheUpperHalfOfAFloatAndReturnsToItself) {
  for (uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const float value = Bf16ToFloat(bits);
    ASSERT_EQ(std::bit_cast<uint32_t>(value), pattern << 16);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(value)))) << pattern;
    } else {
      ASSERT_EQ(FloatToBf16(value), bits) << pattern;
    }
  }
}

TEST(Bf16Test, EveryMiddleRoundsToEvenAndItsSidesToTheNearer) {
  for (uint32_t low = 0; low < 0x7f80; ++low) {
    const uint32_t high = low + 1;
    const uint32_t middle = (low << 16) | 0x8000;
    ASSERT_EQ(FloatToBf16(std::bit_cast<float>(middle)), low % 2 == 0 ? low : high) << low;
    ASSERT_EQ(FloatToBf16(std::bit_cast<float>(middle - 1)), low) << low;
    ASSERT_EQ(FloatToBf16(std::bit_cast<float>(middle + 1)), high) << low;
    ASSERT_EQ(FloatToBf16(-std::bit_cast<float>(middle)), 0x8000 | (low % 2 == 0 ? low : high)) << low;
  }
}

TEST(Bf16Test, NanStaysNanWhateverItsPayload) {
  for (const uint32_t bits : {0x7f800001U, 0x7fc00000U, 0x7fffffffU, 0xff800001U, 0xffffffffU, 0x7f80ffffU}) {
    const uint16_t half = FloatToBf16(std::bit_cast<float>(bits));
    EXPECT_TRUE(std::isnan(Bf16ToFloat(half))) << bits;
    EXPECT_EQ(half >> 15, bits >> 31) << "the sign of " << bits;
  }
}

TEST(Bf16Test, WhatIsTooLargeBecomesInfinity) {
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(FloatToBf16(-std::numeric_limits<float>::max()), 0xff80);
  EXPECT_EQ(FloatToBf16(kInfinity), 0x7f80);
}

}  // namespace
}  // namespace predictd
