// What Sampler chooses, compared with a plain implementation.

#include "server/sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/sampling/random_logits.h"
#include "tests/sampling/reference_sampler.h"

namespace predictd {
namespace {

using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Sampler MakeSampler(const SamplingOptions& options, size_t vocabulary, const std::vector<int32_t>& prompt = {}) {
  absl::StatusOr<Sampler> sampler = Sampler::Create(options, static_cast<int64_t>(vocabulary), prompt);
  EXPECT_TRUE(sampler.ok()) << sampler.status();
  return *std::move(sampler);
}

SampledToken NextOf(Sampler& sampler, std::vector<float> logits, SamplingWorkspace& workspace) {
  absl::StatusOr<SampledToken> token = sampler.Next(absl::MakeSpan(logits), workspace);
  EXPECT_TRUE(token.ok()) << token.status();
  return token.ok() ? *token : SampledToken{-1, 0, {}};
}

std::vector<int32_t> Draw(const SamplingOptions& options, const std::vector<float>& logits, int count,
                          const std::vector<int32_t>& prompt = {}) {
  Sampler sampler = MakeSampler(options, logits.size(), prompt);
  SamplingWorkspace workspace;
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(NextOf(sampler, logits, workspace).id);
  return tokens;
}

// How far the counts are from what is expected, in standard deviations of the chi-square distribution. Tokens that
// are expected less than 5 times are one.
double ChiSquareDeviation(const std::vector<int32_t>& tokens, const std::vector<double>& probabilities) {
  std::vector<double> counts(probabilities.size());
  for (int32_t token : tokens) ++counts[token];
  const auto total = static_cast<double>(tokens.size());
  double statistic = 0;
  double rare_count = 0;
  double rare_expected = 0;
  int classes = 0;
  const auto add = [&](double count, double expected) {
    statistic += (count - expected) * (count - expected) / expected;
    ++classes;
  };
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probabilities[i] * total;
    if (expected >= 5) {
      add(counts[i], expected);
    } else {
      rare_count += counts[i];
      rare_expected += expected;
    }
  }
  if (rare_expected >= 5) add(rare_count, rare_expected);
  const double freedom = std::max(classes - 1, 1);
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

struct Case {
  std::string name;
  size_t vocabulary;
  SamplingOptions options;
};

void PrintTo(const Case& test_case, std::ostream* stream) {
  *stream << test_case.name;
}

class SamplerDistributionTest : public testing::TestWithParam<Case> {};

TEST_P(SamplerDistributionTest, IsThatOfThePlainImplementation) {
  const auto& [name, vocabulary, options] = GetParam();
  std::mt19937 random(7);
  for (int round = 0; round < 2; ++round) {
    const std::vector<float> logits = RandomLogits(vocabulary, random);
    SamplingOptions seeded = options;
    seeded.seed = random();
    const ReferenceStep expected = ReferenceSample(logits, seeded, {}, {});
    const std::vector<int32_t> tokens = Draw(seeded, logits, 2000);
    for (int32_t token : tokens) ASSERT_GT(expected.probabilities[token], 0) << token;
    EXPECT_LT(ChiSquareDeviation(tokens, expected.probabilities), 4.5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Options, SamplerDistributionTest,
    testing::Values(Case{"plain", 100, {}}, Case{"cold", 100, {.temperature = 0.4}},
                    Case{"hot", 1000, {.temperature = 3}}, Case{"large", 3001, {.temperature = 0.8}},
                    Case{"top_k", 3001, {.top_k = 40}}, Case{"top_k_few", 100, {.top_k = 3}},
                    Case{"top_k_many", 3001, {.temperature = 2, .top_k = 700}},
                    Case{"top_k_more_than_there_are", 100, {.top_k = 1000}}, Case{"top_p", 100, {.top_p = 0.7}},
                    Case{"top_p_large", 3001, {.temperature = 1.5, .top_p = 0.95}},
                    Case{"top_p_flat", 3001, {.temperature = 50, .top_p = 0.5}}, Case{"min_p", 3001, {.min_p = 0.05}},
                    Case{"top_k_top_p", 3001, {.temperature = 0.8, .top_k = 40, .top_p = 0.95}},
                    Case{"top_k_many_top_p", 3001, {.temperature = 3, .top_k = 1000, .top_p = 0.6}},
                    Case{"top_p_min_p", 3001, {.temperature = 2, .top_p = 0.9, .min_p = 0.1}},
                    Case{"top_k_min_p", 3001, {.temperature = 2, .top_k = 50, .min_p = 0.1}},
                    Case{"all", 3001, {.temperature = 1.7, .top_k = 500, .top_p = 0.8, .min_p = 0.02}}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

// The smallest and the largest token that can be drawn, and those excluded, are exactly as the order says.
TEST(SamplerTest, TopPKeepsTheShortestPrefixThatReachesIt) {
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    const std::vector<float> logits = RandomLogits(20 + random() % 1200, random);
    SamplingOptions options = {.temperature = 30, .top_p = 0.001 + static_cast<double>(random() % 20) / 1000};
    const ReferenceStep expected = ReferenceSample(logits, options, {}, {});
    const auto kept = std::count_if(expected.probabilities.begin(), expected.probabilities.end(),
                                    [](double probability) { return probability > 0; });
    std::vector<int32_t> tokens = Draw(options, logits, static_cast<int>(kept) * 20);
    std::sort(tokens.begin(), tokens.end());
    EXPECT_EQ(std::unique(tokens.begin(), tokens.end()) - tokens.begin(), kept) << round;
    for (int32_t token : tokens) ASSERT_GT(expected.probabilities[token], 0);
  }
}

TEST(SamplerTest, GreedyTakesTheFirstOfTheLargest) {
  std::vector<float> logits(5000, 1);
  logits[4097] = logits[3000] = logits[2047] = 2;
  EXPECT_EQ(Draw({.temperature = 0}, logits, 2), (std::vector<int32_t>{2047, 2047}));
  // Nothing else makes a difference.
  EXPECT_EQ(Draw({.temperature = 0, .top_k = 5, .top_p = 0.1, .min_p = 1, .seed = 5}, logits, 1)[0], 2047);
}

TEST(SamplerTest, TopKKeepsTheFirstOfEqualTokens) {
  const std::vector<float> logits(3000, -1);
  for (int64_t top_k : {1, 2, 40, 700}) {
    for (int32_t token : Draw({.temperature = 1, .top_k = top_k}, logits, 300)) ASSERT_LT(token, top_k);
  }
}

TEST(SamplerTest, TopPKeepsTheFirstOfEqualTokens) {
  const std::vector<float> logits(3000, -1);
  for (int32_t token : Draw({.top_p = 0.1}, logits, 500)) ASSERT_LT(token, 300);
}

TEST(SamplerTest, TinyTopPLeavesOneToken) {
  std::mt19937 random(1);
  const std::vector<float> logits = RandomLogits(2000, random);
  const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  for (double top_p : {1e-9, 1e-300, 5e-324}) {
    for (int64_t top_k : {0, 10}) {
      for (int32_t token : Draw({.temperature = 5, .top_k = top_k, .top_p = top_p}, logits, 50)) {
        ASSERT_EQ(token, best);
      }
    }
  }
}

TEST(SamplerTest, MinPOfOneLeavesTheLargestLogits) {
  std::vector<float> logits(2000, 0);
  logits[5] = logits[1999] = 1;
  for (int64_t top_k : {0, 10}) {
    const std::vector<int32_t> tokens = Draw({.top_k = top_k, .min_p = 1}, logits, 200);
    EXPECT_NEAR(std::count(tokens.begin(), tokens.end(), 5), 100, 40);
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 5) + std::count(tokens.begin(), tokens.end(), 1999), 200);
  }
}

TEST(SamplerTest, OneTokenThatIsPossibleIsAlwaysTaken) {
  std::vector<float> logits(3000, -kInfinity);
  logits[1234] = -1e30F;
  for (const SamplingOptions& options :
       {SamplingOptions{}, SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 1e300},
        SamplingOptions{.temperature = 5e-324}, SamplingOptions{.top_k = 40}, SamplingOptions{.top_k = 2000},
        SamplingOptions{.top_p = 0.5}, SamplingOptions{.min_p = 1}}) {
    for (int32_t token : Draw(options, logits, 20)) ASSERT_EQ(token, 1234);
  }
}

TEST(SamplerTest, VocabularyOfOneHasOneToken) {
  EXPECT_EQ(Draw({.top_k = 3, .top_p = 0.5, .min_p = 0.5}, {-3}, 3), (std::vector<int32_t>{0, 0, 0}));
  EXPECT_EQ(Draw({.temperature = 0}, {-3}, 1), (std::vector<int32_t>{0}));
}

TEST(SamplerTest, HugeTemperatureIsUniformAndTinyOneIsGreedy) {
  std::mt19937 random(11);
  const std::vector<float> logits = RandomLogits(50, random);
  for (double temperature : {1e9, 1e38, 1e300}) {
    EXPECT_LT(ChiSquareDeviation(Draw({.temperature = temperature}, logits, 5000), std::vector<double>(50, 0.02)), 4.5);
  }
  const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  for (double temperature : {1e-9, 1e-300}) {
    for (const double top_p : {1.0, 0.5}) {
      for (int32_t token : Draw({.temperature = temperature, .top_p = top_p}, logits, 100)) ASSERT_EQ(token, best);
    }
  }
}

TEST(SamplerTest, ExtremeLogitsAreNoTrouble) {
  constexpr float kMax = std::numeric_limits<float>::max();
  std::vector<float> logits(3000, -kMax);
  logits[7] = kMax;
  logits[8] = 1e-40F;
  for (const SamplingOptions& options : {SamplingOptions{}, SamplingOptions{.top_k = 40},
                                         SamplingOptions{.top_k = 2000}, SamplingOptions{.top_p = 0.9}}) {
    for (int32_t token : Draw(options, logits, 20)) ASSERT_EQ(token, 7);
  }
}

TEST(SamplerTest, BiasOfAHundredForcesAndForbids) {
  std::mt19937 random(2);
  const std::vector<float> logits = RandomLogits(300, random);
  const auto best = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  for (int32_t token : Draw({.logit_bias = {{5, 100.0F}}}, logits, 500)) ASSERT_EQ(token, 5);
  for (int32_t token : Draw({.logit_bias = {{best, -100.0F}}}, logits, 500)) ASSERT_NE(token, best);
  EXPECT_NE(Draw({.temperature = 0, .logit_bias = {{best, -100.0F}}}, logits, 1)[0], best);
}

// Penalties change with each token: the whole sequence is compared, greedy and by the logprobs.
TEST(SamplerTest, PenaltiesAreThoseOfThePlainImplementation) {
  std::mt19937 random(5);
  for (const SamplingOptions& penalties :
       {SamplingOptions{.repetition_penalty = 1.3}, SamplingOptions{.repetition_penalty = 0.7},
        SamplingOptions{.presence_penalty = 1.5}, SamplingOptions{.frequency_penalty = 0.6},
        SamplingOptions{.frequency_penalty = -0.5},
        SamplingOptions{.repetition_penalty = 1.2,
        .presence_penalty = -0.4,
        .frequency_penalty = 0.3,
        .logit_bias = {{1, 3.0F}, {2, -2.0F}}}}) {
    SamplingOptions options = penalties;
    options.temperature = 0;
    options.logprobs = true;
    options.top_logprobs = 5;
    const std::vector<int32_t> prompt = {3, 9, 9, 20, 21, 22};
    Sampler sampler = MakeSampler(options, 60, prompt);
    SamplingWorkspace workspace;
    std::vector<int32_t> output;
    for (int i = 0; i < 100; ++i) {
      const std::vector<float> logits = RandomLogits(60, random);
      const ReferenceStep expected = ReferenceSample(logits, options, prompt, output);
      const SampledToken token = NextOf(sampler, logits, workspace);
      ASSERT_EQ(expected.probabilities[token.id], 1);
      ASSERT_NEAR(token.logprob, expected.logprobs[token.id], 1e-5);
      ASSERT_EQ(token.top.size(), 5U);
      for (const TokenLogprob& top : token.top) ASSERT_NEAR(top.logprob, expected.logprobs[top.id], 1e-5);
      output.push_back(token.id);
    }
  }
}

TEST(SamplerTest, LogprobsAreOfTheWholeDistributionAtTemperatureOne) {
  std::mt19937 random(6);
  SamplingWorkspace workspace;
  for (size_t vocabulary : {5, 100, 1024, 5000}) {
    const std::vector<float> logits = RandomLogits(vocabulary, random);
    std::vector<float> sorted = logits;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (const SamplingOptions& options :
         {SamplingOptions{.temperature = 0.3, .top_k = 2, .logprobs = true, .top_logprobs = 20},
          SamplingOptions{.temperature = 2, .top_p = 0.3, .logprobs = true, .top_logprobs = 20},
          SamplingOptions{.temperature = 0, .logprobs = true, .top_logprobs = 20}}) {
      const ReferenceStep expected = ReferenceSample(logits, options, {}, {});
      Sampler sampler = MakeSampler(options, vocabulary);
      const SampledToken token = NextOf(sampler, logits, workspace);
      EXPECT_NEAR(token.logprob, expected.logprobs[token.id], 1e-5);
      ASSERT_EQ(token.top.size(), std::min<size_t>(20, vocabulary));
      for (size_t i = 0; i < token.top.size(); ++i) {
        EXPECT_EQ(logits[token.top[i].id], sorted[i]);
        EXPECT_NEAR(token.top[i].logprob, expected.logprobs[token.top[i].id], 1e-5);
      }
    }
  }
}

TEST(SamplerTest, TopLogprobsLeaveOutWhatIsImpossible) {
  std::vector<float> logits(2000, -kInfinity);
  logits[10] = 1;
  logits[11] = 1;
  SamplingWorkspace workspace;
  Sampler sampler = MakeSampler({.logprobs = true, .top_logprobs = 5}, logits.size());
  const SampledToken token = NextOf(sampler, logits, workspace);
  ASSERT_EQ(token.top.size(), 2U);
  EXPECT_EQ(token.top[0].id, 10);
  EXPECT_NEAR(token.logprob, std::log(0.5), 1e-6);
}

TEST(SamplerTest, LogitsThatAreNoNumbersAreAnErrorAndChangeNothing) {
  std::mt19937 random(8);
  const std::vector<float> logits = RandomLogits(3001, random);
  SamplingWorkspace workspace;
  for (const SamplingOptions& options : {SamplingOptions{.seed = 4}, SamplingOptions{.temperature = 0}}) {
    Sampler sampler = MakeSampler(options, logits.size());
    for (size_t place : {size_t{0}, size_t{1500}, logits.size() - 1}) {
      for (float wrong : {std::nanf(""), -std::nanf(""), kInfinity}) {
        std::vector<float> broken = logits;
        broken[place] = wrong;
        const absl::Status status = sampler.Next(absl::MakeSpan(broken), workspace).status();
        ASSERT_TRUE(absl::IsInternal(status)) << status;
        EXPECT_THAT(std::string(status.message()), HasSubstr(std::isnan(wrong) ? "NaN" : "infinite"));
      }
    }
    std::vector<float> impossible(logits.size(), -kInfinity);
    EXPECT_TRUE(absl::IsInternal(sampler.Next(absl::MakeSpan(impossible), workspace).status()));
    std::vector<float> too_few(logits.size() - 1);
    EXPECT_TRUE(absl::IsInternal(sampler.Next(absl::MakeSpan(too_few), workspace).status()));
    EXPECT_EQ(NextOf(sampler, logits, workspace).id, Draw(options, logits, 1)[0]);
  }
}

TEST(SamplerTest, PromptWithUnknownTokensIsRefused) {
  const std::vector<int32_t> prompt = {1, 10};
  const absl::Status status = Sampler::Create({}, 10, prompt).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "prompt[1]: expected a token id from 0 to 9, got 10");
}

}  // namespace
}  // namespace predictd
