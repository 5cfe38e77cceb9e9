#include "server/sampling/logit_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "tests/sampling/random_logits.h"

namespace predictd {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<KernelSet> SupportedSets() {
  std::vector<KernelSet> sets = {KernelSet::kPortable};
  if (IsSupported(KernelSet::kAvx2)) sets.push_back(KernelSet::kAvx2);
  return sets;
}

// Everything that the kernels make of the logits.
struct Results {
  LogitScan scan;
  std::vector<float> lane_maxima;
  std::vector<float> weights;
  std::vector<double> sums;
  LogitShare share;
  int64_t count;
  std::vector<int32_t> ids;
  std::vector<float> masked_weights;
  std::vector<double> masked_sums;
};

Results RunAll(KernelSet set, const std::vector<float>& logits, float scale, float threshold, float min_weight) {
  const LogitKernels& kernels = LogitKernelsFor(set);
  const size_t size = logits.size();
  const size_t blocks = LogitBlocks(size);
  Results results{.scan = {},
                  .lane_maxima = std::vector<float>(blocks * kLogitLanes),
                  .weights = std::vector<float>(size),
                  .sums = std::vector<double>(blocks),
                  .share = {},
                  .count = 0,
                  .ids = std::vector<int32_t>(size + 1),
                  .masked_weights = {},
                  .masked_sums = std::vector<double>(blocks)};
  results.scan = kernels.scan(logits.data(), size, results.lane_maxima.data());
  kernels.weigh(logits.data(), size, results.scan.max, scale, results.weights.data(), results.sums.data());
  results.share = kernels.measure(logits.data(), results.weights.data(), size, threshold);
  results.count = kernels.count(logits.data(), size, threshold);
  results.ids.resize(kernels.collect(logits.data(), size, threshold, threshold + 1, results.ids.data()));
  results.masked_weights = results.weights;
  kernels.mask(logits.data(), size, threshold, min_weight, results.masked_weights.data(), results.masked_sums.data());
  return results;
}

template <class T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// Lengths around those of vectors and blocks.
constexpr size_t kSizes[] = {1, 2, 15, 16, 17, 63, 64, 65, 100, 1023, 1024, 1025, 1040, 2049, 5000, 20000};

TEST(LogitKernelsTest, AgreeWithDoublePrecision) {
  std::mt19937 random(1);
  for (size_t size : kSizes) {
    const std::vector<float> logits = RandomLogits(size, random);
    const float scale = 0.3F + static_cast<float>(random() % 100) / 50;
    const float threshold = logits[random() % size];
    for (KernelSet set : SupportedSets()) {
      const Results results = RunAll(set, logits, scale, threshold, 1e-3F);
      const float max = *std::max_element(logits.begin(), logits.end());
      ASSERT_EQ(results.scan.max, max);
      ASSERT_FALSE(results.scan.has_nan);
      double sum = 0;
      double share = 0;
      double masked = 0;
      int64_t count = 0;
      std::vector<int32_t> ids;
      for (size_t i = 0; i < size; ++i) {
        const double exact = std::exp(double{(logits[i] - max) * scale});
        ASSERT_NEAR(results.weights[i], exact, exact * 2e-7);
        ASSERT_GE(results.lane_maxima[i / kLogitBlock * kLogitLanes + i % kLogitLanes], logits[i]);
        sum += exact;
        const bool kept = logits[i] >= threshold;
        count += kept ? 1 : 0;
        share += kept ? exact : 0;
        if (kept && logits[i] < threshold + 1) ids.push_back(static_cast<int32_t>(i));
        const bool unmasked = kept && results.weights[i] >= 1e-3F;
        masked += unmasked ? exact : 0;
        ASSERT_EQ(results.masked_weights[i], unmasked ? results.weights[i] : 0);
      }
      const auto total = [](const std::vector<double>& sums) { return std::accumulate(sums.begin(), sums.end(), 0.0); };
      EXPECT_NEAR(total(results.sums), sum, sum * 1e-6);
      EXPECT_NEAR(total(results.masked_sums), masked, sum * 1e-6);
      EXPECT_NEAR(results.share.weight, share, sum * 1e-6);
      EXPECT_EQ(results.share.count, count);
      EXPECT_EQ(results.count, count);
      EXPECT_EQ(results.ids, ids);
    }
  }
}

TEST(LogitKernelsTest, AllInstructionSetsGiveTheSameBits) {
  if (!IsSupported(KernelSet::kAvx2)) GTEST_SKIP() << "only one is supported";
  std::mt19937 random(2);
  for (int round = 0; round < 8; ++round) {
    for (size_t size : kSizes) {
      std::vector<float> logits = RandomLogits(size, random);
      for (size_t i = 0; i < size / 50; ++i) logits[random() % size] = round % 2 == 0 ? -kInfinity : -1e-39F;
      logits[0] = 1;
      const float scale = std::exp(static_cast<float>(random() % 100) / 10 - 5);
      const float threshold = std::max(logits[random() % size], -1e30F);
      const Results portable = RunAll(KernelSet::kPortable, logits, scale, threshold, 0.01F);
      const Results avx2 = RunAll(KernelSet::kAvx2, logits, scale, threshold, 0.01F);
      ASSERT_EQ(portable.scan.max, avx2.scan.max);
      ASSERT_TRUE(SameBits(portable.lane_maxima, avx2.lane_maxima));
      ASSERT_TRUE(SameBits(portable.weights, avx2.weights));
      ASSERT_TRUE(SameBits(portable.sums, avx2.sums));
      ASSERT_EQ(portable.share.weight, avx2.share.weight);
      ASSERT_EQ(portable.share.count, avx2.share.count);
      ASSERT_EQ(portable.count, avx2.count);
      ASSERT_EQ(portable.ids, avx2.ids);
      ASSERT_TRUE(SameBits(portable.masked_weights, avx2.masked_weights));
      ASSERT_TRUE(SameBits(portable.masked_sums, avx2.masked_sums));
    }
  }
}

TEST(LogitKernelsTest, WeightsReachFromOneToNothing) {
  const std::vector<float> logits = {0, -1e-30F, -87.25F, -87.35F, -1000, -3e38F, -kInfinity};
  for (KernelSet set : SupportedSets()) {
    const Results results = RunAll(set, logits, 1, 0, 0);
    EXPECT_EQ(results.weights[0], 1);
    EXPECT_EQ(results.weights[1], 1);
    EXPECT_NEAR(results.weights[2] / std::exp(-87.25), 1, 1e-6);
    for (size_t i = 3; i < logits.size(); ++i) EXPECT_EQ(results.weights[i], 0);
    // Neither the smallest nor the largest scale makes a NaN.
    for (float scale : {std::numeric_limits<float>::min(), std::numeric_limits<float>::max()}) {
      const Results extreme = RunAll(set, logits, scale, 0, 0);
      EXPECT_EQ(extreme.weights.front(), 1);
      EXPECT_EQ(extreme.weights.back(), 0);
    }
  }
}

TEST(LogitKernelsTest, NanIsFoundWhereverItIs) {
  for (size_t size : kSizes) {
    for (size_t place : {size_t{0}, size / 2, size - 1}) {
      std::vector<float> logits(size, 1);
      logits[place] = std::nanf("");
      std::vector<float> lane_maxima(kLogitLanes * LogitBlocks(size));
      for (KernelSet set : SupportedSets()) {
        EXPECT_TRUE(LogitKernelsFor(set).scan(logits.data(), size, lane_maxima.data()).has_nan) << size << " " << place;
      }
    }
  }
}

TEST(LogitKernelsTest, EnvironmentChoosesThem) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto choose = [](const char* name, KernelSet expected) {
    setenv("PREDICTD_KERNEL_SET", name, 1);
    std::exit(&BestLogitKernels() == &LogitKernelsFor(expected) ? 0 : 1);
  };
  EXPECT_EXIT(choose("portable", KernelSet::kPortable), testing::ExitedWithCode(0), "");
  if (IsSupported(KernelSet::kAvx2)) {
    EXPECT_EXIT(choose("avx2", KernelSet::kAvx2), testing::ExitedWithCode(0), "");
  }
}

}  // namespace
}  // namespace predictd
