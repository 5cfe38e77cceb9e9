#include "server/sampling/top_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/sampling/random_logits.h"

namespace predictd {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Logits of every kind: spread, nearly equal, with many equal ones, with impossible ones.
std::vector<std::vector<float>> ManyLogits() {
  std::mt19937 random(4);
  std::vector<std::vector<float>> all;
  for (size_t size : {1, 3, 100, 1500, 4000, 20000}) {
    std::vector<float> spread = RandomLogits(size, random);
    std::vector<float> equal(size, -2.5F);
    std::vector<float> rounded = spread;
    for (float& logit : rounded) logit = std::round(logit);
    std::vector<float> near = spread;
    for (float& logit : near) logit = 100 + logit * 1e-5F;
    std::vector<float> wide = spread;
    for (float& logit : wide) logit = std::copysign(std::exp(5 * std::fabs(logit)), logit);
    std::vector<float> holes = spread;
    for (size_t i = 0; i < size; ++i) holes[i] = i % 3 == 1 ? -kInfinity : holes[i];
    for (auto* logits : {&spread, &equal, &rounded, &near, &wide, &holes}) all.push_back(std::move(*logits));
  }
  return all;
}

std::vector<int32_t> Sorted(const std::vector<float>& logits) {
  std::vector<int32_t> order;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -kInfinity) order.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(order.begin(), order.end(), [&logits](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  return order;
}

ScannedLogits Scan(std::vector<float>& logits, SamplingWorkspace& workspace) {
  workspace.Resize(logits.size());
  const LogitScan scan = BestLogitKernels().scan(logits.data(), logits.size(), workspace.lane_maxima.data());
  return {absl::MakeSpan(logits), scan.max};
}

// In the order of the ids.
std::vector<int32_t> Kept(const std::vector<float>& logits, float threshold) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] >= threshold && logits[i] > -kInfinity) ids.push_back(static_cast<int32_t>(i));
  }
  return ids;
}

TEST(TopTokensTest, FoundAreTheFirstInOrder) {
  SamplingWorkspace workspace;
  for (std::vector<float>& logits : ManyLogits()) {
    const ScannedLogits scanned = Scan(logits, workspace);
    const std::vector<int32_t> order = Sorted(logits);
    std::vector<TokenLogit> top;
    for (size_t count : {1, 2, 20, 40, 300, 100'000}) {
      FindTopTokens(scanned, count, workspace, top);
      ASSERT_EQ(top.size(), std::min(count, order.size()));
      for (size_t i = 0; i < top.size(); ++i) {
        ASSERT_EQ(top[i].id, order[i]);
        ASSERT_EQ(top[i].logit, logits[order[i]]);
      }
    }
  }
}

TEST(TopTokensTest, KeptCountIsThatOfTheFirstInOrder) {
  SamplingWorkspace workspace;
  for (const std::vector<float>& original : ManyLogits()) {
    std::vector<int32_t> order = Sorted(original);
    for (size_t count : {1, 2, 40, 700, 1999, 100'000}) {
      std::vector<float> logits = original;
      const float threshold = KeepTopCount(Scan(logits, workspace), static_cast<int64_t>(count), workspace);
      std::vector<int32_t> expected(order.begin(),
                                    order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size())));
      std::sort(expected.begin(), expected.end());
      ASSERT_EQ(Kept(logits, threshold), expected) << original.size() << " " << count;
    }
  }
}

// Weights need not have to do with logits.
TEST(TopTokensTest, KeptWeightIsThatOfTheShortestPrefix) {
  std::mt19937 random(5);
  SamplingWorkspace workspace;
  for (const std::vector<float>& original : ManyLogits()) {
    const std::vector<int32_t> order = Sorted(original);
    for (double part : {0.0001, 0.3, 0.9, 0.999}) {
      std::vector<float> logits = original;
      const ScannedLogits scanned = Scan(logits, workspace);
      // Sums of such numbers are exact.
      double total = 0;
      for (size_t i = 0; i < logits.size(); ++i) {
        workspace.weights[i] = logits[i] > -kInfinity ? static_cast<float>(1 + random() % 16) / 16 : 0;
        total += workspace.weights[i];
      }
      const double target = part * total;
      const float threshold = KeepTopWeight(scanned, target, 0.5F, workspace);
      double sum = 0;
      std::vector<int32_t> expected;
      for (int32_t id : order) {
        if (sum >= target) break;
        sum += workspace.weights[id];
        expected.push_back(id);
      }
      std::sort(expected.begin(), expected.end());
      ASSERT_EQ(Kept(logits, threshold), expected) << original.size() << " " << part;
    }
  }
}

}  // namespace
}  // namespace predictd
