#include "client/half_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace predictd {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(HalfFloatTest, EveryHalfSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float value = ToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(ToFloat(ToHalf(value)))) << bits;
    } else {
      EXPECT_EQ(ToHalf(value).bits, bits);
    }
  }
}

TEST(HalfFloatTest, EveryBFloat16SurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const BFloat16 half{static_cast<std::uint16_t>(bits)};
    const float value = ToFloat(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(ToFloat(ToBFloat16(value)))) << bits;
    } else {
      EXPECT_EQ(ToBFloat16(value).bits, bits);
    }
  }
}

TEST(HalfFloatTest, KnownHalves) {
  EXPECT_EQ(ToHalf(1).bits, 0x3c00);
  EXPECT_EQ(ToHalf(-2).bits, 0xc000);
  EXPECT_EQ(ToHalf(65504).bits, 0x7bff);
  EXPECT_EQ(ToHalf(std::ldexp(1.0F, -14)).bits, 0x0400);
  EXPECT_EQ(ToHalf(std::ldexp(1.0F, -24)).bits, 0x0001);
  EXPECT_EQ(ToHalf(-0.0F).bits, 0x8000);
}

TEST(HalfFloatTest, HalvesRoundToNearestEven) {
  EXPECT_EQ(ToHalf(2049).bits, ToHalf(2048).bits);
  EXPECT_EQ(ToHalf(2051).bits, ToHalf(2052).bits);
  EXPECT_EQ(ToHalf(std::nextafter(2049.0F, kInfinity)).bits, ToHalf(2050).bits);
  EXPECT_EQ(ToHalf(std::ldexp(1.0F, -25)).bits, 0);
  EXPECT_EQ(ToHalf(std::ldexp(1.5F, -25)).bits, 1);
  EXPECT_EQ(ToHalf(std::ldexp(1.0F, -26)).bits, 0);
  EXPECT_EQ(ToHalf(std::nextafter(std::ldexp(1.0F, -14), 0.0F)).bits, 0x0400);
}

TEST(HalfFloatTest, DoublesAreRoundedOnce) {
  // A float between would round these to the middle of two halves, and the middle to the even one.
  EXPECT_EQ(ToHalf(1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -40)).bits, 0x3c01);
  EXPECT_EQ(ToHalf(std::nextafter(65520.0, 0.0)).bits, 0x7bff);
  EXPECT_EQ(ToHalf(std::nextafter(std::ldexp(1.0, -25), 1.0)).bits, 1);
  EXPECT_EQ(ToHalf(std::ldexp(1.0, -25)).bits, 0);
  EXPECT_EQ(ToHalf(std::numeric_limits<double>::denorm_min()).bits, 0);
  EXPECT_EQ(ToBFloat16(1 + std::ldexp(1.0, -8) + std::ldexp(1.0, -40)).bits, 0x3f81);
  EXPECT_EQ(ToBFloat16(std::ldexp(1.0, -133)).bits, 1) << "the least one";
  EXPECT_EQ(ToBFloat16(std::ldexp(1.0, -134)).bits, 0);
  EXPECT_EQ(ToBFloat16(std::nextafter(std::ldexp(1.0, -134), 1.0)).bits, 1);
}

TEST(HalfFloatTest, ValuesBeyondTheRangeBecomeInfinity) {
  EXPECT_EQ(ToHalf(65519).bits, 0x7bff);
  EXPECT_EQ(ToHalf(65520).bits, 0x7c00);
  EXPECT_EQ(ToHalf(-1e30F).bits, 0xfc00);
  EXPECT_EQ(ToHalf(kInfinity).bits, 0x7c00);
  EXPECT_EQ(ToBFloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
}

TEST(HalfFloatTest, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(ToBFloat16(1).bits, 0x3f80);
  EXPECT_EQ(ToBFloat16(257).bits, ToBFloat16(256).bits);
  EXPECT_EQ(ToBFloat16(259).bits, ToBFloat16(260).bits);
  EXPECT_EQ(ToBFloat16(-257.5).bits, ToBFloat16(-258).bits);
}

}  // namespace
}  // namespace predictd
