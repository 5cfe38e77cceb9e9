#include "server/sampling/token_penalties.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace predictd {
namespace {

// A logit that the model already gave near the limit of a float stays finite: the sampler treats an infinite one as a
// fault of the model.
float Saturated(double logit) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(logit, -kLargest, kLargest));
}

}  // namespace

TokenPenalties::TokenPenalties(const SamplingOptions& options, absl::Span<const int32_t> prompt)
    : repeats_(options.repetition_penalty != 1),
      counts_(options.presence_penalty != 0 || options.frequency_penalty != 0),
      repetition_(static_cast<float>(options.repetition_penalty)),
      presence_(options.presence_penalty),
      frequency_(options.frequency_penalty) {
  if (!repeats_) return;
  for (int32_t id : prompt) Find(id);
}

void TokenPenalties::AddOutput(int32_t id) {
  if (repeats_ || counts_) ++Find(id).count;
}

void TokenPenalties::Apply(absl::Span<float> logits) const {
  for (const SeenToken& token : seen_) {
    float& logit = logits[token.id];
    // A token that is impossible stays impossible, and NaN stays NaN.
    if (!std::isfinite(logit)) continue;
    if (repeats_) logit = Saturated(logit > 0 ? logit / repetition_ : logit * repetition_);
    if (counts_ && token.count > 0) {
      logit = Saturated(logit - (frequency_ * static_cast<double>(token.count) + presence_));
    }
  }
}

TokenPenalties::SeenToken& TokenPenalties::Find(int32_t id) {
  const auto [entry, is_new] = places_.try_emplace(id, seen_.size());
  if (is_new) seen_.push_back({id, 0});
  return seen_[entry->second];
}

}  // namespace predictd
