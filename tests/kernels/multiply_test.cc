// Products of rows with packed matrices, against double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class MultiplyTest : public KernelSetTest {
 protected:
  // Products of rows x with the matrix, added to `y`, or in its place.
  std::vector<float> Run(const TestMatrix& matrix, const std::vector<float>& x, std::vector<float> y = {}) const {
    const int64_t rows = static_cast<int64_t>(x.size()) / matrix.columns;
    const TestActivations put(kernels(), x, matrix.columns, matrix.format);
    const bool add = !y.empty();
    y.resize(static_cast<size_t>(rows * matrix.rows), NAN);
    kernels().multiply(matrix.packed(), {0, matrix.rows / kPanelRows}, put.get(), rows, add, y.data());
    return y;
  }

  void ExpectProducts(const TestMatrix& matrix, const std::vector<float>& x) const {
    const std::vector<float> y = Run(matrix, x);
    for (int64_t row = 0; row < static_cast<int64_t>(x.size()) / matrix.columns; ++row) {
      const float* from = x.data() + row * matrix.columns;
      const std::vector<Expected> rounded = Multiply(matrix, from);
      const std::vector<Expected> unrounded = MultiplyUnrounded(matrix, from);
      for (int64_t i = 0; i < matrix.rows; ++i) {
        const float got = y[row * matrix.rows + i];
        ASSERT_NEAR(got, rounded[i].value, rounded[i].tolerance) << NameOf(matrix.format) << " " << matrix.rows << "x"
                                                                 << matrix.columns << " row " << row << " output " << i;
        ASSERT_NEAR(got, unrounded[i].value, unrounded[i].tolerance);
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(AllSets, MultiplyTest, EachKernelSet(), ParameterName);

TEST_P(MultiplyTest, RandomShapesAreAsInDoublePrecision) {
  std::mt19937 random(1);
  for (const WeightFormat format : kAllFormats) {
    for (int64_t rows = 1; rows <= 20; ++rows) {
      const auto panels = static_cast<int64_t>(random() % 4 + 1);
      const auto groups = static_cast<int64_t>(random() % 12 + 1);
      const TestMatrix matrix = RandomMatrix(format, panels * kPanelRows, groups * kGroup, random);
      ExpectProducts(matrix, RandomFloats(rows * matrix.columns, random));
    }
  }
}

TEST_P(MultiplyTest, LongRowsAreAsInDoublePrecision) {
  std::mt19937 random(2);
  for (const WeightFormat format : kAllFormats) {
    for (const int64_t groups : {31, 48, 64}) {
      const TestMatrix matrix = RandomMatrix(format, kPanelRows, groups * kGroup, random);
      ExpectProducts(matrix, RandomFloats(5 * matrix.columns, random));
    }
  }
}

TEST_P(MultiplyTest, EdgesAreAsInDoublePrecision) {
  std::mt19937 random(3);
  for (const WeightFormat format : kAllFormats) {
    for (const Edge of_weights : kAllEdges) {
      const TestMatrix matrix = RandomMatrix(format, 2 * kPanelRows, 3 * kGroup, random, of_weights);
      for (const Edge of_x : kAllEdges) {
        SCOPED_TRACE(testing::Message() << "edges " << static_cast<int>(of_weights) << " " << static_cast<int>(of_x));
        ExpectProducts(matrix, RandomFloats(9 * matrix.columns, random, of_x));
      }
    }
  }
}

// The largest sums of integers that there are. In 16 bits there is no room for much more.
TEST_P(MultiplyTest, LargestIntegersDoNotOverflow) {
  std::mt19937 random(4);
  for (const WeightFormat format : {WeightFormat::kQ4, WeightFormat::kQ8}) {
    const TestMatrix matrix = RandomMatrix(format, 2 * kPanelRows, 2 * kGroup, random, Edge::kSaturated);
    for (const float sign : {1.0F, -1.0F}) {
      // With a scale of 1, x are the integers themselves.
      const std::vector<float> x(5 * matrix.columns, sign * 127);
      const std::vector<float> y = Run(matrix, x);
      for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
        const double quant = matrix.quants[i % matrix.rows * matrix.columns];
        const double minimum = format == WeightFormat::kQ4 ? 1 : 0;
        ASSERT_EQ(y[i], sign * 127 * (quant + minimum) * 64) << NameOf(format);
      }
    }
  }
}

TEST_P(MultiplyTest, WhatIsNotFiniteSpoilsItsRowOnly) {
  std::mt19937 random(5);
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix matrix = RandomMatrix(format, 2 * kPanelRows, 3 * kGroup, random);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      for (int64_t rows = 1; rows <= 9; ++rows) {
        std::vector<float> x = RandomFloats(rows * matrix.columns, random);
        const std::vector<float> before = Run(matrix, x);
        const auto spoilt = static_cast<int64_t>(random() % rows);
        x[spoilt * matrix.columns + static_cast<int64_t>(random() % matrix.columns)] = bad;
        const std::vector<float> after = Run(matrix, x);
        for (int64_t i = 0; i < static_cast<int64_t>(after.size()); ++i) {
          if (i / matrix.rows != spoilt) {
            ASSERT_EQ(after[i], before[i]);
          } else if (format == WeightFormat::kF16 && std::isinf(bad)) {
            // Half precision does what floats do.
            ASSERT_FALSE(std::isfinite(after[i]));
          } else {
            ASSERT_TRUE(std::isnan(after[i]));
          }
        }
      }
    }
  }
}

TEST_P(MultiplyTest, ProductsAreAddedToWhatWasThere) {
  std::mt19937 random(6);
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix matrix = RandomMatrix(format, 3 * kPanelRows, 5 * kGroup, random);
    for (int64_t rows = 1; rows <= 9; ++rows) {
      const std::vector<float> x = RandomFloats(rows * matrix.columns, random);
      const std::vector<float> before = RandomFloats(rows * matrix.rows, random);
      const std::vector<float> alone = Run(matrix, x);
      const std::vector<float> sums = Run(matrix, x, before);
      for (size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], before[i] + alone[i]);
    }
  }
}

TEST_P(MultiplyTest, PartsOfThePanelsAreThoseOfTheWhole) {
  std::mt19937 random(7);
  constexpr int64_t kPanels = 7;
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix matrix = RandomMatrix(format, kPanels * kPanelRows, 3 * kGroup, random);
    constexpr int64_t kRows = 10;
    const std::vector<float> x = RandomFloats(kRows * matrix.columns, random);
    const std::vector<float> whole = Run(matrix, x);
    const TestActivations put(kernels(), x, matrix.columns, format);
    for (int64_t begin = 0; begin <= kPanels; ++begin) {
      for (int64_t end = begin; end <= kPanels; ++end) {
        constexpr float kUntouched = -123;
        std::vector<float> y(whole.size(), kUntouched);
        kernels().multiply(matrix.packed(), {begin, end}, put.get(), kRows, false, y.data());
        for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
          const int64_t panel = i % matrix.rows / kPanelRows;
          ASSERT_EQ(y[i], panel >= begin && panel < end ? whole[i] : kUntouched);
        }
      }
    }
  }
}

TEST_P(MultiplyTest, ARowIsTheSameAloneAndAmongAnyNumber) {
  std::mt19937 random(8);
  constexpr int64_t kMostRows = 64;
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix matrix = RandomMatrix(format, 2 * kPanelRows, 3 * kGroup, random);
    const std::vector<float> x = RandomFloats(kMostRows * matrix.columns, random);
    std::vector<float> alone;
    for (int64_t row = 0; row < kMostRows; ++row) {
      const auto from = x.begin() + row * matrix.columns;
      const std::vector<float> y = Run(matrix, {from, from + matrix.columns});
      alone.insert(alone.end(), y.begin(), y.end());
    }
    for (int64_t rows = 1; rows <= kMostRows; ++rows) {
      const std::vector<float> y = Run(matrix, {x.begin(), x.begin() + rows * matrix.columns});
      ASSERT_TRUE(SameBits(y, {alone.begin(), alone.begin() + rows * matrix.rows})) << NameOf(format) << " " << rows;
    }
  }
}

TEST_P(MultiplyTest, MemoryNeedsNoAlignment) {
  std::mt19937 random(9);
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix matrix = RandomMatrix(format, kPanelRows, 3 * kGroup, random);
    const std::vector<float> x = RandomFloats(9 * matrix.columns, random);
    std::vector<uint8_t> moved(matrix.bytes.size() + 1);
    std::copy(matrix.bytes.begin(), matrix.bytes.end(), moved.begin() + 1);
    PackedMatrix packed = matrix.packed();
    packed.data = moved.data() + 1;
    const TestActivations put(kernels(), x, matrix.columns, format);
    std::vector<float> y(9 * kPanelRows);
    kernels().multiply(packed, {0, 1}, put.get(), 9, false, y.data());
    EXPECT_TRUE(SameBits(y, Run(matrix, x)));
  }
}

}  // namespace
}  // namespace predictd
