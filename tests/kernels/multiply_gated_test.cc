// The two matrices of a feed forward block whose products are multiplied with each other.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

// By turns 16 outputs are gates and 16 are multiplied with them.
int64_t GateOf(int64_t element) {
  return element / kPanelRows * 2 * kPanelRows + element % kPanelRows;
}

class MultiplyGatedTest : public KernelSetTest {
 protected:
  // Puts the gated products into floats, which hides nothing, or for another matrix of integers.
  TestActivations Run(const TestMatrix& gate_up, const std::vector<float>& x, WeightFormat next) const {
    const int64_t rows = static_cast<int64_t>(x.size()) / gate_up.columns;
    const TestActivations put(kernels(), x, gate_up.columns, gate_up.format);
    TestActivations y(rows, gate_up.rows / 2, next);
    kernels().multiply_gated(gate_up.packed(), {0, gate_up.rows / 2 / kGroup}, put.get(), rows, y.get());
    return y;
  }

  static float FloatAt(const Activations& activations, int64_t row, int64_t column) {
    float x;
    std::memcpy(&x, activations.Tile(row) + (column * kTileRows + row % kTileRows) * 4, 4);
    return x;
  }

  void ExpectGated(const TestMatrix& gate_up, const std::vector<float>& x) const {
    const TestActivations y = Run(gate_up, x, WeightFormat::kF16);
    for (int64_t row = 0; row < static_cast<int64_t>(x.size()) / gate_up.columns; ++row) {
      const std::vector<Expected> products = Multiply(gate_up, x.data() + row * gate_up.columns);
      for (int64_t i = 0; i < gate_up.rows / 2; ++i) {
        const Expected& gate = products[GateOf(i)];
        const Expected& up = products[GateOf(i) + kPanelRows];
        const double silu = gate.value / (1 + std::exp(-gate.value));
        // The function is never steeper than 1.1.
        const double tolerance = 1.1 * gate.tolerance * (std::abs(up.value) + up.tolerance) +
                                 std::abs(silu) * up.tolerance + std::abs(silu * up.value) * 1e-6 + 1e-30;
        ASSERT_NEAR(FloatAt(y.get(), row, i), silu * up.value, tolerance)
            << NameOf(gate_up.format) << " row " << row << " element " << i << " gate " << gate.value;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(AllSets, MultiplyGatedTest, EachKernelSet(), ParameterName);

TEST_P(MultiplyGatedTest, RandomShapesAreAsInDoublePrecision) {
  std::mt19937 random(1);
  for (const WeightFormat format : kAllFormats) {
    for (int64_t rows = 1; rows <= 17; ++rows) {
      const auto groups = static_cast<int64_t>(random() % 3 + 1);
      const auto columns = static_cast<int64_t>(random() % 7 + 1) * kGroup;
      const TestMatrix gate_up = RandomMatrix(format, groups * 2 * kGroup, columns, random);
      ExpectGated(gate_up, RandomFloats(rows * columns, random));
    }
  }
}

// Gates from far below where the exponential function overflows to far above.
TEST_P(MultiplyGatedTest, AnyGateIsAsInDoublePrecision) {
  std::mt19937 random(2);
  const TestMatrix gate_up = RandomMatrix(WeightFormat::kF16, 4 * kGroup, kGroup, random);
  for (const float magnitude : {1e-20F, 1e-3F, 10.0F, 300.0F, 1e4F, 1e10F}) {
    std::vector<float> x = RandomFloats(9 * kGroup, random);
    for (float& number : x) number *= magnitude;
    ExpectGated(gate_up, x);
  }
}

TEST_P(MultiplyGatedTest, EdgesAreAsInDoublePrecision) {
  std::mt19937 random(3);
  for (const WeightFormat format : kAllFormats) {
    for (const Edge edge : {Edge::kZeros, Edge::kDenormals, Edge::kEqual, Edge::kSaturated, Edge::kTiny}) {
      const TestMatrix gate_up = RandomMatrix(format, 2 * kGroup, 3 * kGroup, random, edge);
      ExpectGated(gate_up, RandomFloats(5 * gate_up.columns, random));
    }
  }
}

TEST_P(MultiplyGatedTest, ResultsAreRoundedForTheNextMatrix) {
  std::mt19937 random(4);
  const TestMatrix gate_up = RandomMatrix(WeightFormat::kQ4, 4 * kGroup, 3 * kGroup, random);
  const std::vector<float> x = RandomFloats(11 * gate_up.columns, random);
  const TestActivations floats = Run(gate_up, x, WeightFormat::kF16);
  const TestActivations rounded = Run(gate_up, x, WeightFormat::kQ8);
  for (int64_t row = 0; row < 11; ++row) {
    for (int64_t group = 0; group < 2; ++group) {
      std::vector<float> numbers;
      for (int64_t i = 0; i < kGroup; ++i) numbers.push_back(FloatAt(floats.get(), row, group * kGroup + i));
      const QuantizedGroup expected = Quantize(numbers.data());
      const QuantizedGroup got = GroupOf(rounded.get(), row, group);
      EXPECT_EQ(got.scale, expected.scale);
      EXPECT_EQ(got.sum, expected.sum);
      EXPECT_EQ(got.quants, expected.quants);
    }
  }
}

TEST_P(MultiplyGatedTest, PartsOfTheGroupsAreThoseOfTheWhole) {
  std::mt19937 random(5);
  constexpr int64_t kGroups = 5;
  constexpr int64_t kRows = 9;
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix gate_up = RandomMatrix(format, kGroups * 2 * kGroup, 3 * kGroup, random);
    const std::vector<float> x = RandomFloats(kRows * gate_up.columns, random);
    const TestActivations whole = Run(gate_up, x, format);
    const TestActivations put(kernels(), x, gate_up.columns, format);
    for (int64_t middle = 0; middle <= kGroups; ++middle) {
      TestActivations y(kRows, kGroups * kGroup, format);
      kernels().multiply_gated(gate_up.packed(), {middle, kGroups}, put.get(), kRows, y.get());
      kernels().multiply_gated(gate_up.packed(), {0, middle}, put.get(), kRows, y.get());
      ASSERT_TRUE(SameBits(y.bytes(), whole.bytes())) << NameOf(format) << " " << middle;
    }
  }
}

TEST_P(MultiplyGatedTest, WhatIsNotFiniteSpoilsItsRowOnly) {
  std::mt19937 random(6);
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix gate_up = RandomMatrix(format, 2 * kGroup, 3 * kGroup, random);
    std::vector<float> x = RandomFloats(9 * gate_up.columns, random);
    const TestActivations before = Run(gate_up, x, WeightFormat::kF16);
    constexpr int64_t kSpoilt = 5;
    x[kSpoilt * gate_up.columns + 40] = NAN;
    const TestActivations after = Run(gate_up, x, WeightFormat::kF16);
    const TestActivations rounded = Run(gate_up, x, WeightFormat::kQ4);
    for (int64_t row = 0; row < 9; ++row) {
      EXPECT_EQ(std::isnan(GroupOf(rounded.get(), row, 0).scale), row == kSpoilt);
      for (int64_t i = 0; i < kGroup; ++i) {
        if (row == kSpoilt) {
          EXPECT_TRUE(std::isnan(FloatAt(after.get(), row, i)));
        } else {
          EXPECT_EQ(FloatAt(after.get(), row, i), FloatAt(before.get(), row, i));
        }
      }
    }
  }
}

TEST_P(MultiplyGatedTest, ARowIsTheSameAloneAndAmongAnyNumber) {
  std::mt19937 random(7);
  constexpr int64_t kMostRows = 64;
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix gate_up = RandomMatrix(format, 2 * kGroup, 3 * kGroup, random);
    const std::vector<float> x = RandomFloats(kMostRows * gate_up.columns, random);
    std::vector<float> alone;
    for (int64_t row = 0; row < kMostRows; ++row) {
      const auto from = x.begin() + row * gate_up.columns;
      const TestActivations y = Run(gate_up, {from, from + gate_up.columns}, WeightFormat::kF16);
      for (int64_t i = 0; i < kGroup; ++i) alone.push_back(FloatAt(y.get(), 0, i));
    }
    for (int64_t rows = 1; rows <= kMostRows; ++rows) {
      const TestActivations y = Run(gate_up, {x.begin(), x.begin() + rows * gate_up.columns}, WeightFormat::kF16);
      for (int64_t i = 0; i < rows * kGroup; ++i) {
        ASSERT_EQ(FloatAt(y.get(), i / kGroup, i % kGroup), alone[i]) << NameOf(format) << " " << rows;
      }
    }
  }
}

}  // namespace
}  // namespace predictd
