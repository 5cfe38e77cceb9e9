// Options and logits at the edges of what numbers can be: a token that may be drawn, or INVALID_ARGUMENT that names the
// option; never NaN, never a token that is impossible, never INTERNAL.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/sampling/sampler.h"

namespace predictd {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargest = std::numeric_limits<double>::max();
constexpr float kLargestFloat = std::numeric_limits<float>::max();
constexpr float kInfFloat = std::numeric_limits<float>::infinity();

const std::vector<double> kNumbers = {0,         -0.0, 5e-324,    1e-320,   1e-300,    1e-45, 1e-38, 1e-9,
                                      0.01,      0.5,  1 - 1e-16, 1,        1.0001,    2,     10,    100,
                                      101,       1e30, 1e300,     kLargest, -5e-324,   -1e-9, -1,    -2,
                                      -kLargest, kInf, -kInf,     kNan,     1 + 1e-15, 0.009};
const std::vector<int64_t> kCounts = {0,
                                      1,
                                      2,
                                      -1,
                                      1000,
                                      std::numeric_limits<int32_t>::max(),
                                      64,
                                      4096,
                                      std::numeric_limits<int64_t>::max(),
                                      std::numeric_limits<int64_t>::min()};
const std::vector<float> kBiases = {
    0,     100,           -100,      1e-45F,     -1e-45F,
    1e30F, kLargestFloat, kInfFloat, -kInfFloat, std::numeric_limits<float>::quiet_NaN()};

// The logits of a model that is well, whatever their size: finite, or impossible but for one.
std::vector<float> Logits(std::mt19937& random, size_t vocabulary) {
  static const std::vector<float> edges = {0,   -0.0F, 1e-45F,        -1e-45F,        1,      -1,   80,
                                           -80, 1e4F,  kLargestFloat, -kLargestFloat, -1e30F, 1e30F};
  std::vector<float> logits(vocabulary);
  const auto kind = random() % 6;
  const float same = edges[random() % edges.size()];
  for (float& logit : logits) {
    const float any = edges[random() % edges.size()];
    const float usual = static_cast<float>(random() % 2000) / 100 - 10;
    logit = kind == 0 ? same : kind <= 2 ? any : usual;
    if (kind == 3 && random() % 4 != 0) logit = -kInfFloat;
  }
  if (logits[0] == -kInfFloat) logits[0] = 0;
  return logits;
}

template <class T>
T OneOf(std::mt19937& random, const std::vector<T>& values) {
  return values[random() % values.size()];
}

// Most options are as usual, so that many are valid.
SamplingOptions Options(std::mt19937& random, size_t vocabulary) {
  SamplingOptions options;
  const auto now_and_then = [&] { return random() % 4 == 0; };
  options.temperature = now_and_then() ? OneOf(random, kNumbers) : static_cast<double>(random() % 20) / 10;
  if (now_and_then()) options.top_k = OneOf(random, kCounts);
  if (now_and_then()) options.top_p = OneOf(random, kNumbers);
  if (now_and_then()) options.min_p = OneOf(random, kNumbers);
  if (now_and_then()) options.repetition_penalty = OneOf(random, kNumbers);
  if (now_and_then()) options.presence_penalty = OneOf(random, kNumbers);
  if (now_and_then()) options.frequency_penalty = OneOf(random, kNumbers);
  if (now_and_then()) options.logit_bias.emplace_back(random() % (vocabulary + 1), OneOf(random, kBiases));
  if (now_and_then()) options.logit_bias.emplace_back(-1 + static_cast<int>(random() % 3), OneOf(random, kBiases));
  options.seed = now_and_then() ? std::numeric_limits<uint64_t>::max() : random();
  options.logprobs = now_and_then();
  if (options.logprobs || random() % 50 == 0) options.top_logprobs = static_cast<int>(random() % 23) - 1;
  return options;
}

std::string Describe(const SamplingOptions& o) {
  return absl::StrCat("temperature ", o.temperature, ", top_k ", o.top_k, ", top_p ", o.top_p, ", min_p ", o.min_p,
                      ", repetition ", o.repetition_penalty, ", presence ", o.presence_penalty, ", frequency ",
                      o.frequency_penalty, ", biases ", o.logit_bias.size(), ", logprobs ", o.top_logprobs);
}

void CheckToken(const SampledToken& token, const std::vector<float>& logits, bool logprobs) {
  ASSERT_GE(token.id, 0);
  ASSERT_LT(token.id, static_cast<int32_t>(logits.size()));
  EXPECT_NE(logits[static_cast<size_t>(token.id)], -kInfFloat) << "an impossible token";
  if (!logprobs) return;
  EXPECT_FALSE(std::isnan(token.logprob));
  EXPECT_LE(token.logprob, 1e-4F);
  for (const TokenLogprob& top : token.top) {
    EXPECT_FALSE(std::isnan(top.logprob));
    EXPECT_LE(top.logprob, 1e-4F);
  }
}

TEST(SamplerEdgesTest, ValidOptionsGiveATokenAndOthersAreNamed) {
  int valid = 0;
  for (uint32_t seed = 0; seed < 20'000 && !testing::Test::HasFailure(); ++seed) {
    std::mt19937 random(seed);
    const size_t vocabulary = random() % 20 == 0 ? 3000 : 1 + random() % 40;
    const SamplingOptions options = Options(random, vocabulary);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ": ", Describe(options)));
    const std::vector<int32_t> prompt(1 + random() % 3, static_cast<int32_t>(random() % vocabulary));
    absl::StatusOr<Sampler> sampler = Sampler::Create(options, static_cast<int64_t>(vocabulary), prompt);
    if (!sampler.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(sampler.status())) << sampler.status();
      EXPECT_NE(sampler.status().message().find(": expected "), std::string::npos) << sampler.status();
      continue;
    }
    ++valid;
    SamplingWorkspace workspace;
    for (int step = 0; step < 4; ++step) {
      const std::vector<float> given = Logits(random, vocabulary);
      std::vector<float> logits = given;
      const absl::StatusOr<SampledToken> token = sampler->Next(absl::MakeSpan(logits), workspace);
      ASSERT_TRUE(token.ok()) << token.status();
      CheckToken(*token, given, options.logprobs);
    }
  }
  EXPECT_GT(valid, 4000);
}

TEST(SamplerEdgesTest, AlmostNoTemperatureIsGreedy) {
  for (const double temperature : {5e-324, 1e-320, 1e-300, 1e-45, 1e-9}) {
    absl::StatusOr<Sampler> sampler = Sampler::Create({.temperature = temperature, .seed = 1}, 4, {});
    ASSERT_TRUE(sampler.ok()) << sampler.status();
    SamplingWorkspace workspace;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> logits = {1, 3, 2, -1};
      EXPECT_EQ(sampler->Next(absl::MakeSpan(logits), workspace)->id, 1) << temperature;
    }
  }
}

TEST(SamplerEdgesTest, AlmostNoTopPLeavesTheLikeliest) {
  for (const int64_t top_k : {0, 3}) {
    absl::StatusOr<Sampler> sampler = Sampler::Create({.top_k = top_k, .top_p = 5e-324, .seed = 1}, 4, {});
    ASSERT_TRUE(sampler.ok()) << sampler.status();
    SamplingWorkspace workspace;
    for (int i = 0; i < 20; ++i) {
      std::vector<float> logits = {1, 3, 2, -1};
      EXPECT_EQ(sampler->Next(absl::MakeSpan(logits), workspace)->id, 1) << top_k;
    }
  }
}

TEST(SamplerEdgesTest, PenaltyOfAHugeLogitIsNoFaultOfTheModel) {
  absl::StatusOr<Sampler> sampler =
      Sampler::Create({.temperature = 0, .repetition_penalty = 0.01, .presence_penalty = -2}, 3, {{0, 1}});
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  SamplingWorkspace workspace;
  std::vector<float> logits = {kLargestFloat, -kLargestFloat, 5};
  EXPECT_EQ(sampler->Next(absl::MakeSpan(logits), workspace)->id, 0);
  EXPECT_EQ(logits[0], kLargestFloat);
}

}  // namespace
}  // namespace predictd
