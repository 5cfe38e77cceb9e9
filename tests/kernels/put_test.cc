// Rows of activations: what is stored for a matrix of integers or of half precision.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class PutTest : public KernelSetTest {};

INSTANTIATE_TEST_SUITE_P(AllSets, PutTest, EachKernelSet(), ParameterName);

TEST_P(PutTest, GroupsAreRoundedAsTheReferenceDoes) {
  std::mt19937 random(1);
  for (const Edge edge : kAllEdges) {
    for (const int64_t columns : {32, 96, 576}) {
      constexpr int64_t kRows = 19;
      const std::vector<float> x = RandomFloats(kRows * columns, random, edge);
      const TestActivations put(kernels(), x, columns, WeightFormat::kQ8);
      for (int64_t row = 0; row < kRows; ++row) {
        for (int64_t group = 0; group < columns / kGroup; ++group) {
          const QuantizedGroup expected = Quantize(x.data() + row * columns + group * kGroup);
          const QuantizedGroup got = GroupOf(put.get(), row, group);
          ASSERT_EQ(got.scale, expected.scale);
          ASSERT_EQ(got.sum, expected.sum);
          ASSERT_EQ(got.quants, expected.quants);
        }
      }
    }
  }
}

TEST_P(PutTest, NumbersComeBackWithinHalfAStep) {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> x = RandomFloats(kGroup, random);
    const float magnitude = std::exp2(static_cast<float>(random() % 200) - 100);
    for (float& number : x) number *= magnitude;
    const TestActivations put(kernels(), x, kGroup, WeightFormat::kQ4);
    const QuantizedGroup group = GroupOf(put.get(), 0, 0);
    for (int64_t i = 0; i < kGroup; ++i) {
      ASSERT_NEAR(double{group.scale} * group.quants[i], x[i], 0.5001 * group.scale);
      ASSERT_GE(group.quants[i], -127);
    }
  }
}

TEST_P(PutTest, TheLargestNumberIsKeptWithItsSign) {
  for (const float largest : {3.0F, -3.0F, std::numeric_limits<float>::max(), -std::numeric_limits<float>::max()}) {
    for (int64_t at = 0; at < kGroup; ++at) {
      std::vector<float> x(kGroup, largest / 10);
      x[at] = largest;
      const TestActivations put(kernels(), x, kGroup, WeightFormat::kQ4);
      ASSERT_EQ(GroupOf(put.get(), 0, 0).quants[at], largest > 0 ? 127 : -127);
    }
  }
}

TEST_P(PutTest, WhatIsNotFiniteMakesTheScaleOfItsGroupNaN) {
  std::mt19937 random(3);
  for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    for (int64_t at = 0; at < kGroup; ++at) {
      std::vector<float> x = RandomFloats(27 * kGroup, random);
      const std::vector<float> good = x;
      constexpr int64_t kRow = 4;
      x[kRow * 3 * kGroup + kGroup + at] = bad;
      const TestActivations put(kernels(), x, 3 * kGroup, WeightFormat::kQ4);
      const TestActivations other(kernels(), good, 3 * kGroup, WeightFormat::kQ4);
      for (int64_t row = 0; row < 9; ++row) {
        for (int64_t group = 0; group < 3; ++group) {
          const QuantizedGroup got = GroupOf(put.get(), row, group);
          if (row == kRow && group == 1) {
            ASSERT_TRUE(std::isnan(got.scale)) << bad << " at " << at;
          } else {
            ASSERT_EQ(got.scale, GroupOf(other.get(), row, group).scale);
            ASSERT_EQ(got.quants, GroupOf(other.get(), row, group).quants);
          }
        }
      }
    }
  }
}

TEST_P(PutTest, PartsOfARowAreThoseOfTheWhole) {
  std::mt19937 random(4);
  constexpr int64_t kColumns = 320;
  for (const WeightFormat format : {WeightFormat::kQ4, WeightFormat::kF16}) {
    const std::vector<float> x = RandomFloats(11 * kColumns, random);
    const TestActivations whole(kernels(), x, kColumns, format);
    TestActivations parts(11, kColumns, format);
    for (int64_t row = 0; row < 11; ++row) {
      const int64_t middle = static_cast<int64_t>(random() % 9 + 1) * kGroup;
      const float* from = x.data() + row * kColumns;
      kernels().put(from + middle, kColumns - middle, row, middle, parts.get());
      kernels().put(from, middle, row, 0, parts.get());
    }
    EXPECT_TRUE(SameBits(whole.bytes(), parts.bytes()));
  }
}

TEST_P(PutTest, RowsDoNotTouchEachOther) {
  std::mt19937 random(5);
  constexpr int64_t kColumns = 64;
  for (const WeightFormat format : {WeightFormat::kQ4, WeightFormat::kF16}) {
    std::vector<float> x = RandomFloats(16 * kColumns, random);
    const TestActivations all(kernels(), x, kColumns, format);
    for (int64_t row = 0; row < 16; ++row) {
      // All bytes of a row that is put alone differ from what was there, or are the same as in the whole.
      TestActivations alone(16, kColumns, format);
      kernels().put(x.data() + row * kColumns, kColumns, row, 0, alone.get());
      int64_t written = 0;
      for (size_t i = 0; i < all.bytes().size(); ++i) {
        if (alone.bytes()[i] == 0xff) continue;
        ASSERT_EQ(alone.bytes()[i], all.bytes()[i]);
        ++written;
      }
      EXPECT_LE(written, static_cast<int64_t>(all.bytes().size()) / 16);
      EXPECT_GT(written, static_cast<int64_t>(all.bytes().size()) / 20);
    }
  }
}

TEST_P(PutTest, FloatsStayAsTheyAre) {
  std::mt19937 random(6);
  constexpr int64_t kColumns = 96;
  constexpr int64_t kRows = 13;
  std::vector<float> x = RandomFloats(kRows * kColumns, random);
  x[5] = INFINITY;
  x[kColumns + 5] = -0.0F;
  x[2 * kColumns + 7] = 1e-42F;
  const TestActivations put(kernels(), x, kColumns, WeightFormat::kF16);
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kColumns; ++i) {
      ASSERT_EQ(std::memcmp(put.get().Tile(row) + (i * kTileRows + row % kTileRows) * 4, &x[row * kColumns + i], 4), 0);
    }
  }
}

}  // namespace
}  // namespace predictd
