#include "server/sampling/top_tokens.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

namespace predictd {
namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kInfinite = std::numeric_limits<float>::infinity();

// When this many tokens or fewer are left, sorting them is faster than halving the interval once more.
constexpr int64_t kSorted = 256;

// When only one in this many of all logits is left, they are copied, so that a pass over them is short.
constexpr int64_t kCopiedPart = 8;

bool ComesBefore(const TokenLogit& a, const TokenLogit& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// Integers in the same order as the floats.
int64_t ToOrdinal(float value) {
  const auto bits = std::bit_cast<int32_t>(value);
  return bits >= 0 ? bits : int64_t{std::numeric_limits<int32_t>::min()} - bits;
}

float FromOrdinal(int64_t ordinal) {
  return std::bit_cast<float>(
      static_cast<int32_t>(ordinal >= 0 ? ordinal : std::numeric_limits<int32_t>::min() - ordinal));
}

// Finds the end of the shortest prefix that reaches a target: first by halving an interval of logits, then by sorting
// the logits in it.
class PrefixSearch {
 public:
  // `weights` may be null; then each token weighs 1.
  PrefixSearch(const ScannedLogits& scanned, const float* weights, double target, SamplingWorkspace& workspace)
      : all_logits_(scanned.logits),
        target_(target),
        workspace_(workspace),
        logits_(scanned.logits),
        weights_(weights),
        high_(std::nextafter(scanned.max, kInfinite)) {}

  float Run(float max, float step) {
    if (!FindLow(max, step)) return kLowest;
    Narrow();
    Cut();
    return low_;
  }

 private:
  LogitShare Measure(float threshold) const {
    LogitShare share = beyond_;
    if (weights_ != nullptr) {
      const LogitShare found = BestLogitKernels().measure(logits_.data(), weights_, logits_.size(), threshold);
      share.count += found.count;
      share.weight += found.weight;
    } else {
      share.count += BestLogitKernels().count(logits_.data(), logits_.size(), threshold);
      share.weight = static_cast<double>(share.count);
    }
    return share;
  }

  // Takes larger and larger steps down until the target is in the interval. False if all logits together do not reach
  // it.
  bool FindLow(float max, float step) {
    constexpr int kSteps = 5;
    for (int i = 0; i <= kSteps; ++i) {
      low_ = i < kSteps ? std::max(max - step, kLowest) : kLowest;
      from_low_ = Measure(low_);
      if (from_low_.weight >= target_) return true;
      high_ = low_;
      from_high_ = from_low_;
      step *= 2;
    }
    return false;
  }

  // Halves the interval by value, which suits the distribution of logits, and by ordinal where that gets stuck.
  void Narrow() {
    constexpr int kPasses = 64;
    constexpr int kPassesByValue = 16;
    bool by_value = true;
    for (int i = 0; i < kPasses && left() > kSorted; ++i) {
      if (left() * kCopiedPart <= static_cast<int64_t>(logits_.size())) CopyInterval();
      by_value = by_value && i < kPassesByValue;
      const float middle = by_value ? low_ + (high_ - low_) / 2 : FromOrdinal((ToOrdinal(low_) + ToOrdinal(high_)) / 2);
      if (!(middle > low_ && middle < high_)) {
        // All that is left is equal.
        if (!by_value) return;
        by_value = false;
        continue;
      }
      const LogitShare share = Measure(middle);
      if (share.weight >= target_) {
        low_ = middle;
        from_low_ = share;
      } else {
        high_ = middle;
        from_high_ = share;
      }
    }
  }

  int64_t left() const { return from_low_.count - from_high_.count; }

  // Copies the interval, without what has been excluded. From the second time on this works in place, because nothing
  // moves to a higher place.
  void CopyInterval() {
    const size_t count = Collect();
    workspace_.some_ids.resize(std::max(workspace_.some_ids.size(), count));
    workspace_.some_logits.resize(std::max(workspace_.some_logits.size(), count));
    workspace_.some_weights.resize(std::max(workspace_.some_weights.size(), count));
    for (size_t i = 0; i < count; ++i) {
      const int32_t place = workspace_.ids[i];
      workspace_.some_ids[i] = IdAt(place);
      workspace_.some_logits[i] = logits_[place];
      if (weights_ != nullptr) workspace_.some_weights[i] = weights_[place];
    }
    is_copy_ = true;
    logits_ = absl::MakeConstSpan(workspace_.some_logits).first(count);
    if (weights_ != nullptr) weights_ = workspace_.some_weights.data();
    beyond_ = from_high_;
  }

  // Finds the places of the logits in the interval.
  size_t Collect() {
    return BestLogitKernels().collect(logits_.data(), logits_.size(), low_, high_, workspace_.ids.data());
  }

  int32_t IdAt(int32_t place) const { return is_copy_ ? workspace_.some_ids[place] : place; }

  // Sets to -inf the logits that are in the interval but not in the prefix.
  void Cut() {
    const size_t count = Collect();
    std::vector<TokenLogit>& tokens = workspace_.candidates;
    tokens.resize(count);
    for (size_t i = 0; i < count; ++i) tokens[i] = {workspace_.ids[i], logits_[workspace_.ids[i]]};
    // Equal logits, of which there may be many, are already in order, because places are in the order of the ids.
    if (!std::is_sorted(tokens.begin(), tokens.end(), ComesBefore)) {
      std::sort(tokens.begin(), tokens.end(), ComesBefore);
    }
    double sum = from_high_.weight;
    for (const TokenLogit& token : tokens) {
      if (sum >= target_) {
        all_logits_[IdAt(token.id)] = -kInfinite;
      } else {
        sum += weights_ != nullptr ? weights_[token.id] : 1.0;
      }
    }
  }

  const absl::Span<float> all_logits_;
  const double target_;
  SamplingWorkspace& workspace_;
  // The logits that are still searched. After a copy they are not all of them; `beyond_` is the share of the logits
  // above them.
  absl::Span<const float> logits_;
  const float* weights_;
  bool is_copy_ = false;
  LogitShare beyond_ = {};
  // The prefix ends at a logit in [low_, high_), which at first includes all of them.
  float low_ = kLowest;
  float high_;
  // The shares of the logits from each bound upwards.
  LogitShare from_low_ = {};
  LogitShare from_high_ = {};
};

}  // namespace

void FindTopTokens(const ScannedLogits& scanned, size_t count, SamplingWorkspace& workspace,
                   std::vector<TokenLogit>& top) {
  const absl::Span<float> logits = scanned.logits;
  const size_t lanes = kLogitLanes * LogitBlocks(logits.size());
  float low = kLowest;
  if (count > 0 && count <= lanes) {
    // At least this many lanes have a logit that is not less.
    const auto first = workspace.lane_maxima.begin();
    const auto last = first + static_cast<std::ptrdiff_t>(count) - 1;
    std::nth_element(first, last, first + static_cast<std::ptrdiff_t>(lanes), std::greater<>());
    low = std::max(*last, kLowest);
  }
  const size_t found = BestLogitKernels().collect(logits.data(), logits.size(), low, kInfinite, workspace.ids.data());
  top.clear();
  for (size_t i = 0; i < found; ++i) top.push_back({workspace.ids[i], logits[workspace.ids[i]]});
  count = std::min(count, found);
  const auto end = top.begin() + static_cast<std::ptrdiff_t>(count);
  if (count < found) std::nth_element(top.begin(), end, top.end(), ComesBefore);
  top.erase(end, top.end());
  std::sort(top.begin(), top.end(), ComesBefore);
}

float KeepTopWeight(const ScannedLogits& scanned, double target, float step, SamplingWorkspace& workspace) {
  return PrefixSearch(scanned, workspace.weights.data(), target, workspace).Run(scanned.max, step);
}

float KeepTopCount(const ScannedLogits& scanned, int64_t count, SamplingWorkspace& workspace) {
  return PrefixSearch(scanned, nullptr, static_cast<double>(count), workspace).Run(scanned.max, 8);
}

}  // namespace predictd
