#include "server/sampling/sampling_options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace predictd {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNanFloat = std::numeric_limits<float>::quiet_NaN();

TEST(SamplingOptionsTest, DefaultsAndBoundsAreValid) {
  for (const SamplingOptions& options :
       {SamplingOptions{}, SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 5e-324},
        SamplingOptions{.temperature = 1e300}, SamplingOptions{.top_k = std::numeric_limits<int64_t>::max()},
        SamplingOptions{.top_p = 5e-324}, SamplingOptions{.min_p = 1}, SamplingOptions{.repetition_penalty = 0.01},
        SamplingOptions{.repetition_penalty = 10}, SamplingOptions{.presence_penalty = -2, .frequency_penalty = 2},
        SamplingOptions{.logit_bias = {{0, -100.0F}, {9, 100.0F}}},
        SamplingOptions{.logprobs = true, .top_logprobs = 20}}) {
    EXPECT_TRUE(options.Validate(10).ok()) << options.Validate(10);
  }
}

TEST(SamplingOptionsTest, WrongFieldIsNamedWithWhatWasExpectedAndWhatCame) {
  struct Wrong {
    SamplingOptions options;
    std::string message;
  };
  const std::vector<Wrong> all = {
      {{.temperature = -0.1}, "temperature: expected a finite number of at least 0, got -0.1"},
      {{.temperature = kNan}, "temperature: expected a finite number of at least 0, got nan"},
      {{.temperature = kInfinity}, "temperature: expected a finite number of at least 0, got inf"},
      {{.top_k = -1}, "top_k: expected at least 1, or 0 for all tokens, got -1"},
      {{.top_p = 0}, "top_p: expected more than 0 and at most 1, got 0"},
      {{.top_p = 1.01}, "top_p: expected more than 0 and at most 1, got 1.01"},
      {{.top_p = kNan}, "top_p: expected more than 0 and at most 1, got nan"},
      {{.min_p = -0.5}, "min_p: expected 0 to 1, got -0.5"},
      {{.min_p = 2}, "min_p: expected 0 to 1, got 2"},
      {{.min_p = kNan}, "min_p: expected 0 to 1, got nan"},
      {{.repetition_penalty = 0}, "repetition_penalty: expected 0.01 to 10, got 0"},
      {{.repetition_penalty = 1e-300}, "repetition_penalty: expected 0.01 to 10, got 1e-300"},
      {{.repetition_penalty = -1}, "repetition_penalty: expected 0.01 to 10, got -1"},
      {{.repetition_penalty = 11}, "repetition_penalty: expected 0.01 to 10, got 11"},
      {{.repetition_penalty = kInfinity}, "repetition_penalty: expected 0.01 to 10, got inf"},
      {{.repetition_penalty = kNan}, "repetition_penalty: expected 0.01 to 10, got nan"},
      {{.presence_penalty = 2.5}, "presence_penalty: expected -2 to 2, got 2.5"},
      {{.presence_penalty = kNan}, "presence_penalty: expected -2 to 2, got nan"},
      {{.frequency_penalty = -2.5}, "frequency_penalty: expected -2 to 2, got -2.5"},
      {{.frequency_penalty = kInfinity}, "frequency_penalty: expected -2 to 2, got inf"},
      {{.logit_bias = {{1, 1.0F}, {10, 1.0F}}}, "logit_bias[1]: expected a token id from 0 to 9, got 10"},
      {{.logit_bias = {{-1, 1.0F}}}, "logit_bias[0]: expected a token id from 0 to 9, got -1"},
      {{.logit_bias = {{1, 100.5F}}}, "logit_bias[0]: expected a bias from -100 to 100, got 100.5"},
      {{.logit_bias = {{1, kNanFloat}}}, "logit_bias[0]: expected a bias from -100 to 100, got nan"},
      {{.logit_bias = {{1, 1.0F}, {1, 2.0F}}}, "logit_bias[1]: expected each token id once, got 1 again"},
      {{.logprobs = true, .top_logprobs = 21}, "top_logprobs: expected 0 to 20, got 21"},
      {{.logprobs = true, .top_logprobs = -1}, "top_logprobs: expected 0 to 20, got -1"},
      {{.top_logprobs = 1}, "top_logprobs: expected 0, as logprobs is false, got 1"},
  };
  for (const Wrong& wrong : all) {
    const absl::Status status = wrong.options.Validate(10);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << wrong.message;
    EXPECT_EQ(status.message(), wrong.message);
  }
}

}  // namespace
}  // namespace predictd
