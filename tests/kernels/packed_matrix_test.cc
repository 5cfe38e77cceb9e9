#include "server/kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class PackedMatrixTest : public testing::TestWithParam<WeightFormat> {};

INSTANTIATE_TEST_SUITE_P(AllFormats, PackedMatrixTest, testing::ValuesIn(kAllFormats),
                         [](const auto& info) { return NameOf(info.param); });

// One rounding for the product and one for the sum.
void ExpectUnpacked(const TestMatrix& matrix) {
  std::vector<float> row(static_cast<size_t>(matrix.columns));
  for (int64_t i = 0; i < matrix.rows; ++i) {
    UnpackRow(matrix.packed(), i, row.data());
    for (int64_t k = 0; k < matrix.columns; ++k) {
      const int64_t element = i * matrix.columns + k;
      const double exact = matrix.Weight(i, k);
      double product = 0;
      if (matrix.format != WeightFormat::kF16) {
        product = matrix.quants[element] * HalfValue(matrix.scales[element / kGroup]);
      }
      ASSERT_NEAR(row[k], exact, (std::abs(product) + std::abs(exact)) * 0x1p-24) << "row " << i << " column " << k;
    }
  }
}

TEST_P(PackedMatrixTest, WhatWasPackedIsUnpacked) {
  std::mt19937 random(1);
  for (const int64_t rows : {16, 48}) {
    for (const int64_t columns : {32, 64, 96, 416, 1024}) {
      for (const Edge edge : kAllEdges) ExpectUnpacked(RandomMatrix(GetParam(), rows, columns, random, edge));
    }
  }
}

// With scales of powers of two all that is stored can be told from what is unpacked.
TEST_P(PackedMatrixTest, NoBitIsLost) {
  std::mt19937 random(2);
  constexpr int64_t kRows = 32;
  for (const int64_t columns : {32, 96, 512}) {
    TestMatrix matrix = RandomMatrix(GetParam(), kRows, columns, random);
    std::vector<float> row(static_cast<size_t>(columns));
    if (GetParam() == WeightFormat::kF16) {
      for (int64_t i = 0; i < kRows; ++i) {
        UnpackRow(matrix.packed(), i, row.data());
        for (int64_t k = 0; k < columns; ++k) ASSERT_EQ(HalfBits(row[k]), matrix.quants[i * columns + k]);
      }
      continue;
    }
    for (uint16_t& scale : matrix.scales) scale = HalfBits(std::exp2(static_cast<float>(random() % 20) - 10));
    for (uint16_t& minimum : matrix.minima) minimum = 0;
    if (GetParam() == WeightFormat::kQ4) {
      const std::vector<uint8_t> quants(matrix.quants.begin(), matrix.quants.end());
      PackQ4(quants.data(), matrix.scales.data(), matrix.minima.data(), kRows, columns, matrix.bytes.data());
    } else {
      const std::vector<int8_t> quants(matrix.quants.begin(), matrix.quants.end());
      PackQ8(quants.data(), matrix.scales.data(), kRows, columns, matrix.bytes.data());
    }
    for (int64_t i = 0; i < kRows; ++i) {
      UnpackRow(matrix.packed(), i, row.data());
      for (int64_t k = 0; k < columns; ++k) {
        const int64_t element = i * columns + k;
        ASSERT_EQ(row[k] / HalfValue(matrix.scales[element / kGroup]), matrix.quants[element]);
      }
    }
  }
}

TEST_P(PackedMatrixTest, PackingWritesEveryByteOnlyOfItsPanels) {
  std::mt19937 random(3);
  for (const int64_t columns : {32, 96, 128}) {
    const TestMatrix matrix = RandomMatrix(GetParam(), 32, columns, random);
    std::vector<std::vector<uint8_t>> packed;
    for (const int filling : {0x00, 0xff}) {
      constexpr size_t kBeyond = 64;
      std::vector<uint8_t> bytes(matrix.bytes.size() + kBeyond, static_cast<uint8_t>(filling));
      if (GetParam() == WeightFormat::kF16) {
        const std::vector<uint16_t> halves(matrix.quants.begin(), matrix.quants.end());
        PackF16(halves.data(), 32, columns, bytes.data());
      } else if (GetParam() == WeightFormat::kQ8) {
        const std::vector<int8_t> quants(matrix.quants.begin(), matrix.quants.end());
        PackQ8(quants.data(), matrix.scales.data(), 32, columns, bytes.data());
      } else {
        const std::vector<uint8_t> quants(matrix.quants.begin(), matrix.quants.end());
        PackQ4(quants.data(), matrix.scales.data(), matrix.minima.data(), 32, columns, bytes.data());
      }
      for (size_t i = matrix.bytes.size(); i < bytes.size(); ++i) ASSERT_EQ(bytes[i], filling);
      bytes.resize(matrix.bytes.size());
      packed.push_back(std::move(bytes));
    }
    EXPECT_EQ(packed[0], packed[1]);
  }
}

TEST(PanelBytesTest, TellTheFormatForAllColumns) {
  for (int64_t columns = kGroup; columns <= 16384; columns += kGroup) {
    for (const WeightFormat format : kAllFormats) {
      const int64_t bytes = PanelBytes(format, columns);
      EXPECT_EQ(FormatOf(bytes, columns), format) << columns;
      // Every panel begins at such a multiple if the first one does.
      EXPECT_EQ(bytes % 64, 0) << columns;
      for (const int64_t wrong : {bytes - 1, bytes + 1, bytes - 64, bytes + 64}) {
        EXPECT_NE(FormatOf(wrong, columns), format) << columns;
      }
    }
  }
}

TEST(PanelBytesTest, OtherNumbersAreNoFormat) {
  for (const int64_t bytes : {int64_t{0}, int64_t{-320}, int64_t{319}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(FormatOf(bytes, 32), std::nullopt) << bytes;
  }
}

}  // namespace
}  // namespace predictd
