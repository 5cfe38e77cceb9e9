#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class NormalizeTest : public KernelSetTest {};
class RotateTest : public KernelSetTest {};

INSTANTIATE_TEST_SUITE_P(AllSets, NormalizeTest, EachKernelSet(), ParameterName);
INSTANTIATE_TEST_SUITE_P(AllSets, RotateTest, EachKernelSet(), ParameterName);

TEST_P(NormalizeTest, IsAsInDoublePrecision) {
  std::mt19937 random(1);
  for (const Edge edge : {Edge::kNone, Edge::kZeros, Edge::kDenormals, Edge::kEqual, Edge::kTiny}) {
    for (const int64_t count : {32, 64, 96, 576, 2048, 8192}) {
      for (const float epsilon : {1e-5F, 1e-6F, 1.0F}) {
        const std::vector<float> x = RandomFloats(count, random, edge);
        const std::vector<float> factors = RandomFloats(count, random);
        std::vector<float> y(x.size());
        kernels().normalize(x.data(), factors.data(), epsilon, count, y.data());
        const std::vector<double> expected = Normalize(x.data(), factors.data(), epsilon, count);
        // Sums of 32 are made beside each other.
        const double tolerance = (static_cast<double>(count) / 32 + 16) * 0x1p-24;
        for (int64_t i = 0; i < count; ++i) {
          ASSERT_NEAR(y[i], expected[i], std::abs(expected[i]) * tolerance + 1e-44) << count << " " << i;
        }
      }
    }
  }
}

TEST_P(NormalizeTest, WorksInPlace) {
  std::mt19937 random(2);
  std::vector<float> x = RandomFloats(576, random);
  const std::vector<float> factors = RandomFloats(576, random);
  std::vector<float> y(x.size());
  kernels().normalize(x.data(), factors.data(), 1e-5F, 576, y.data());
  kernels().normalize(x.data(), factors.data(), 1e-5F, 576, x.data());
  EXPECT_TRUE(SameBits(x, y));
}

TEST_P(NormalizeTest, WhatIsNotANumberSpoilsAll) {
  std::mt19937 random(3);
  const std::vector<float> factors(96, 1);
  for (size_t at = 0; at < 96; ++at) {
    std::vector<float> x = RandomFloats(96, random);
    x[at] = NAN;
    kernels().normalize(x.data(), factors.data(), 1e-5F, 96, x.data());
    for (const float y : x) ASSERT_TRUE(std::isnan(y));
  }
}

TEST_P(RotateTest, IsAsInDoublePrecision) {
  std::mt19937 random(4);
  for (const int64_t width : {32, 64, 96, 128}) {
    const std::vector<float> turns = Turns(300, width);
    for (const int64_t position : {0, 1, 17, 299}) {
      const std::vector<float> before = RandomFloats(width, random);
      std::vector<float> head = before;
      kernels().rotate(turns.data() + position * width, width, head.data());
      for (int64_t i = 0; i < width; i += 2) {
        const double cosine = turns[position * width + i];
        const double sine = turns[position * width + i + 1];
        const double tolerance = (std::abs(before[i]) + std::abs(before[i + 1])) * 0x1p-22;
        ASSERT_NEAR(head[i], before[i] * cosine - before[i + 1] * sine, tolerance) << width << " " << i;
        ASSERT_NEAR(head[i + 1], before[i] * sine + before[i + 1] * cosine, tolerance) << width << " " << i;
      }
    }
  }
}

TEST_P(RotateTest, TheFirstPositionIsNotTurned) {
  std::mt19937 random(5);
  const std::vector<float> turns = Turns(1, 64);
  const std::vector<float> before = RandomFloats(64, random);
  std::vector<float> head = before;
  kernels().rotate(turns.data(), 64, head.data());
  EXPECT_EQ(head, before);
}

}  // namespace
}  // namespace predictd
