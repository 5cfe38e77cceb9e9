#include "server/sampling/sampling_options.h"

#include <cmath>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/model/sampling_defaults.h"

namespace predictd {
namespace {

constexpr float kMaxBias = 100;

template <class T>
absl::Status Wrong(absl::string_view field, absl::string_view expected, T got) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": expected ", expected, ", got ", got));
}

// False for NaN, because every comparison with NaN is false.
bool IsBetween(double value, double least, double most) {
  return value >= least && value <= most;
}

absl::Status ValidateBias(const std::vector<std::pair<int32_t, float>>& biases, int64_t vocabulary_size) {
  std::unordered_set<int32_t> ids;
  for (size_t i = 0; i < biases.size(); ++i) {
    const auto& [id, bias] = biases[i];
    const std::string field = absl::StrCat("logit_bias[", i, "]");
    if (id < 0 || id >= vocabulary_size) {
      return Wrong(field, absl::StrCat("a token id from 0 to ", vocabulary_size - 1), id);
    }
    if (!IsBetween(bias, -kMaxBias, kMaxBias)) return Wrong(field, "a bias from -100 to 100", bias);
    if (!ids.insert(id).second) return Wrong(field, "each token id once", absl::StrCat(id, " again"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SamplingOptions::Validate(int64_t vocabulary_size) const {
  if (!std::isfinite(temperature) || temperature < 0) {
    return Wrong("temperature", "a finite number of at least 0", temperature);
  }
  if (top_k < 0) return Wrong("top_k", "at least 1, or 0 for all tokens", top_k);
  if (!IsBetween(top_p, 0, 1) || top_p == 0) return Wrong("top_p", "more than 0 and at most 1", top_p);
  if (!IsBetween(min_p, 0, 1)) return Wrong("min_p", "0 to 1", min_p);
  if (!IsBetween(repetition_penalty, kMinRepetitionPenalty, kMaxRepetitionPenalty)) {
    return Wrong("repetition_penalty", "0.01 to 10", repetition_penalty);
  }
  if (!IsBetween(presence_penalty, -kMaxPenalty, kMaxPenalty)) {
    return Wrong("presence_penalty", "-2 to 2", presence_penalty);
  }
  if (!IsBetween(frequency_penalty, -kMaxPenalty, kMaxPenalty)) {
    return Wrong("frequency_penalty", "-2 to 2", frequency_penalty);
  }
  if (top_logprobs < 0 || top_logprobs > kMaxTopLogprobs) {
    return Wrong("top_logprobs", absl::StrCat("0 to ", kMaxTopLogprobs), top_logprobs);
  }
  if (top_logprobs > 0 && !logprobs) return Wrong("top_logprobs", "0, as logprobs is false", top_logprobs);
  return ValidateBias(logit_bias, vocabulary_size);
}

}  // namespace predictd
