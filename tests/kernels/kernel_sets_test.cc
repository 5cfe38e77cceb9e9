// What holds between kernel sets.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/cache_fixture.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class KernelSetsTest : public KernelSetTest {
 protected:
  const Kernels& portable() const { return KernelsFor(KernelSet::kPortable); }
};

INSTANTIATE_TEST_SUITE_P(AllSets, KernelSetsTest, EachKernelSet(), ParameterName);

TEST_P(KernelSetsTest, PutTheSameBits) {
  std::mt19937 random(1);
  for (const WeightFormat format : {WeightFormat::kQ8, WeightFormat::kF16}) {
    for (const Edge edge : kAllEdges) {
      const std::vector<float> x = RandomFloats(int64_t{9} * 96, random, edge);
      EXPECT_TRUE(SameBits(TestActivations(kernels(), x, 96, format).bytes(),
                           TestActivations(portable(), x, 96, format).bytes()));
    }
  }
}

TEST_P(KernelSetsTest, AgreeOnProducts) {
  std::mt19937 random(2);
  for (const WeightFormat format : kAllFormats) {
    const TestMatrix matrix = RandomMatrix(format, 3 * kPanelRows, 9 * kGroup, random);
    const std::vector<float> x = RandomFloats(11 * matrix.columns, random);
    std::vector<float> y[2];
    for (const bool own : {false, true}) {
      const Kernels& used = own ? kernels() : portable();
      const TestActivations put(used, x, matrix.columns, format);
      y[own].resize(11 * static_cast<size_t>(matrix.rows));
      used.multiply(matrix.packed(), {0, 3}, put.get(), 11, false, y[own].data());
    }
    for (int64_t i = 0; i < static_cast<int64_t>(y[0].size()); ++i) {
      const Expected expected = Multiply(matrix, x.data() + i / matrix.rows * matrix.columns)[i % matrix.rows];
      ASSERT_NEAR(y[1][i], y[0][i], expected.tolerance) << NameOf(format);
    }
  }
}

TEST_P(KernelSetsTest, AgreeOnNormsAndTurns) {
  std::mt19937 random(3);
  const std::vector<float> x = RandomFloats(576, random);
  const std::vector<float> factors = RandomFloats(576, random);
  std::vector<float> a(x.size());
  std::vector<float> b(x.size());
  kernels().normalize(x.data(), factors.data(), 1e-5F, 576, a.data());
  portable().normalize(x.data(), factors.data(), 1e-5F, 576, b.data());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], std::abs(b[i]) * 4e-7F);
  a = b = x;
  const std::vector<float> turns = Turns(50, 576);
  kernels().rotate(turns.data() + int64_t{49} * 576, 576, a.data());
  portable().rotate(turns.data() + int64_t{49} * 576, 576, b.data());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], (std::abs(x[i / 2 * 2]) + std::abs(x[i / 2 * 2 + 1])) * 4e-7F);
  }
}

TEST_P(KernelSetsTest, AgreeOnAttention) {
  std::mt19937 random(4);
  for (const CacheElement element : kAllElements) {
    constexpr int64_t kCount = 45;
    TestCache cache(element, kCount, 64);
    for (int64_t position = 0; position < kCount; ++position) {
      // Read by one set what another one has stored.
      const Kernels& used = position % 2 == 0 ? kernels() : portable();
      used.store(RandomFloats(64, random).data(), RandomFloats(64, random).data(), position, cache.get());
    }
    const std::vector<float> queries = RandomFloats(int64_t{5} * 64, random);
    std::vector<float> scratch(static_cast<size_t>(AttentionScratch(kCount)));
    std::vector<float> a(queries.size());
    std::vector<float> b(queries.size());
    kernels().attend(queries.data(), 5, cache.get(), kCount, nullptr, scratch.data(), a.data());
    portable().attend(queries.data(), 5, cache.get(), kCount, nullptr, scratch.data(), b.data());
    for (int64_t i = 0; i < int64_t{5} * 64; ++i) {
      const std::vector<Expected> expected =
          Attend(queries.data() + i / 64 * 64, cache.Keys(kCount), cache.Values(kCount), kCount, 64);
      ASSERT_NEAR(a[i], b[i], 2 * expected[i % 64].tolerance);
    }
  }
}

}  // namespace
}  // namespace predictd
