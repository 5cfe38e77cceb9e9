#include "server/generation/generation_cost.h"

#include <algorithm>

namespace predictd {
namespace {

constexpr int64_t kMostTokens = 512;

// Follows changes within a few steps; one slow step does not change everything.
void Follow(Duration& average, Duration value) {
  average = average == Duration::zero() ? value : average + (value - average) / 4;
}

}  // namespace

void GenerationCost::RecordDecode(Duration took) {
  Follow(decode_, took);
}

void GenerationCost::RecordPrefill(int64_t tokens, Duration took) {
  // A shorter part takes as long as one of kPart tokens: of what a token costs it says nothing.
  Follow(prefill_token_, took / std::max(tokens, kPart));
}

int64_t GenerationCost::PrefillTokens(int64_t running, int64_t waiting) const {
  const Duration fair = running > 0 ? std::min(2 * decode_ * waiting / running, kLongestPrefill) : kLongestPrefill;
  const Duration budget = running > 0 ? std::max(2 * decode_, fair) : fair;
  const int64_t affordable = prefill_token_ > Duration::zero() ? budget / prefill_token_ : 4 * kPart;
  return std::clamp(affordable / kPart * kPart, kPart, kMostTokens);
}

int64_t GenerationCost::Part(int64_t left, int64_t allowed) {
  // What would be left for a last small step is better done now.
  return left <= allowed + allowed / 4 ? left : allowed / kPart * kPart;
}

}  // namespace predictd
