#include "server/generation/generation_cost.h"

#include <algorithm>

namespace predictd {
namespace {

constexpr int64_t kMostTokens = 512;

// A moving average that follows changes within a few steps, but that one slow step does not upset.
void Follow(Duration& average, Duration value) {
  average = average == Duration::zero() ? value : average + (value - average) / 4;
}

}  // namespace

void GenerationCost::RecordDecode(Duration took) {
  Follow(decode_, took);
}

void GenerationCost::RecordPrefill(int64_t tokens, Duration took) {
  // A part shorter than kPart takes as long as one of kPart tokens, so it says nothing about the cost of a token.
  Follow(prefill_token_, took / std::max(tokens, kPart));
}

int64_t GenerationCost::PrefillTokens(int64_t running, int64_t waiting) const {
  const Duration fair = running > 0 ? std::min(2 * decode_ * waiting / running, kLongestPrefill) : kLongestPrefill;
  const Duration budget = running > 0 ? std::max(2 * decode_, fair) : fair;
  const int64_t affordable = prefill_token_ > Duration::zero() ? budget / prefill_token_ : 4 * kPart;
  return std::clamp(affordable / kPart * kPart, kPart, kMostTokens);
}

int64_t GenerationCost::Part(int64_t left, int64_t allowed) {
  // If only a small last part would be left, it is cheaper to compute it now.
  return left <= allowed + allowed / 4 ? left : allowed / kPart * kPart;
}

}  // namespace predictd
