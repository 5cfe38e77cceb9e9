#include "server/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/sampling/logit_kernels.h"

namespace predictd {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// From this many tokens on, searching for a threshold is faster than listing the tokens.
size_t MostListedTokens(size_t vocabulary_size) {
  return std::max<size_t>(64, vocabulary_size / 128);
}

float ScaleOf(double temperature) {
  if (temperature == 0) return 1;
  // Within these bounds neither 0 nor -inf becomes NaN when it is multiplied.
  return static_cast<float>(
      std::clamp<double>(1 / temperature, std::numeric_limits<float>::min(), std::numeric_limits<float>::max()));
}

// The first of the largest logits. The lane maxima say in which block it is.
int32_t FirstOf(const ScannedLogits& scanned, absl::Span<const float> lane_maxima) {
  const auto lane = std::find(lane_maxima.begin(), lane_maxima.end(), scanned.max);
  const auto begin = scanned.logits.begin() + (lane - lane_maxima.begin()) / kLogitLanes * kLogitBlock;
  return static_cast<int32_t>(std::find(begin, scanned.logits.end(), scanned.max) - scanned.logits.begin());
}

// The first place at which the sum of the weights exceeds `part` (in [0, 1)) of their total; never one with weight 0.
size_t PlaceOf(double part, absl::Span<const float> weights) {
  const double target = part * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    last = i;
    sum += weights[i];
    if (sum > target) break;
  }
  return last;
}

// The same when the sums of the blocks are known: only one block is searched.
size_t PlaceOf(double part, absl::Span<const float> weights, absl::Span<const double> block_sums) {
  const double target = part * std::accumulate(block_sums.begin(), block_sums.end(), 0.0);
  double before = 0;
  size_t block = 0;
  for (size_t i = 0; i < block_sums.size(); ++i) {
    if (block_sums[i] == 0) continue;
    block = i;
    if (before + block_sums[i] > target) break;
    before += block_sums[i];
  }
  const size_t begin = block * kLogitBlock;
  // Within the block, the part is of the block's sum as it is when added up one by one.
  return begin + PlaceOf((target - before) / block_sums[block], weights.subspan(begin, kLogitBlock));
}

void AddLogprobs(const ScannedLogits& scanned, int count, SamplingWorkspace& workspace, double& log_sum,
                 std::vector<TokenLogprob>& top) {
  const absl::Span<const float> logits = scanned.logits;
  BestLogitKernels().weigh(logits.data(), logits.size(), scanned.max, 1, workspace.weights.data(),
                           workspace.block_sums.data());
  const auto sums = workspace.block_sums.begin();
  log_sum = std::log(std::accumulate(sums, sums + static_cast<std::ptrdiff_t>(LogitBlocks(logits.size())), 0.0));
  if (count == 0) return;
  FindTopTokens(scanned, static_cast<size_t>(count), workspace, workspace.candidates);
  for (const TokenLogit& token : workspace.candidates) {
    top.push_back({token.id, static_cast<float>(double{token.logit} - scanned.max - log_sum)});
  }
}

}  // namespace

absl::Status Sampler::Validate(const SamplingOptions& options, int64_t vocabulary_size,
                               absl::Span<const int32_t> prompt) {
  if (absl::Status status = options.Validate(vocabulary_size); !status.ok()) return status;
  for (size_t i = 0; i < prompt.size(); ++i) {
    if (prompt[i] >= 0 && prompt[i] < vocabulary_size) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("prompt[", i, "]: expected a token id from 0 to ", vocabulary_size - 1, ", got ", prompt[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<Sampler> Sampler::Create(SamplingOptions options, int64_t vocabulary_size,
                                        absl::Span<const int32_t> prompt) {
  if (absl::Status status = Validate(options, vocabulary_size, prompt); !status.ok()) return status;
  return Sampler(std::move(options), vocabulary_size, prompt);
}

Sampler::Sampler(SamplingOptions options, int64_t vocabulary_size, absl::Span<const int32_t> prompt)
    : options_(std::move(options)),
      vocabulary_size_(vocabulary_size),
      scale_(ScaleOf(options_.temperature)),
      penalties_(options_, prompt),
      random_(options_.seed) {}

absl::StatusOr<SampledToken> Sampler::Next(absl::Span<float> logits, SamplingWorkspace& workspace) {
  if (static_cast<int64_t>(logits.size()) != vocabulary_size_) {
    return absl::InternalError(
        absl::StrCat("the model gave ", logits.size(), " logits for a vocabulary of ", vocabulary_size_));
  }
  for (const auto& [id, bias] : options_.logit_bias) logits[id] += bias;
  penalties_.Apply(logits);
  absl::StatusOr<ScannedLogits> scanned = Scan(logits, workspace);
  if (!scanned.ok()) return scanned.status();

  SampledToken token;
  const bool is_greedy = options_.temperature == 0;
  // This comes before top_logprobs changes the order of the lane maxima.
  if (is_greedy) token.id = FirstOf(*scanned, workspace.lane_maxima);
  double log_sum = 0;
  // This comes before tokens are excluded.
  if (options_.logprobs) AddLogprobs(*scanned, options_.top_logprobs, workspace, log_sum, token.top);
  if (!is_greedy) token.id = Draw(*scanned, workspace);
  if (options_.logprobs) token.logprob = static_cast<float>(double{logits[token.id]} - scanned->max - log_sum);
  penalties_.AddOutput(token.id);
  return token;
}

absl::StatusOr<ScannedLogits> Sampler::Scan(absl::Span<float> logits, SamplingWorkspace& workspace) const {
  workspace.Resize(logits.size());
  const LogitScan scan = BestLogitKernels().scan(logits.data(), logits.size(), workspace.lane_maxima.data());
  if (scan.has_nan) return absl::InternalError("the model gave a logit that is NaN");
  if (scan.max == kInfinity) return absl::InternalError("the model gave a logit that is infinite");
  if (scan.max == -kInfinity) return absl::InternalError("the model gave -inf for all logits: no token is possible");
  return ScannedLogits{logits, scan.max};
}

int32_t Sampler::Draw(const ScannedLogits& scanned, SamplingWorkspace& workspace) {
  const size_t size = scanned.logits.size();
  const auto top_k = static_cast<size_t>(options_.top_k);
  return top_k > 0 && top_k <= std::min(size, MostListedTokens(size)) ? DrawFromTopK(scanned, workspace)
                                                                      : DrawFromAll(scanned, workspace);
}

int32_t Sampler::DrawFromTopK(const ScannedLogits& scanned, SamplingWorkspace& workspace) {
  std::vector<TokenLogit>& tokens = workspace.candidates;
  FindTopTokens(scanned, static_cast<size_t>(options_.top_k), workspace, tokens);
  workspace.some_logits.clear();
  for (const TokenLogit& token : tokens) workspace.some_logits.push_back(token.logit);
  BestLogitKernels().weigh(workspace.some_logits.data(), tokens.size(), scanned.max, scale_, workspace.weights.data(),
                           workspace.block_sums.data());
  absl::Span<const float> weights(workspace.weights.data(), tokens.size());

  const double target = options_.top_p * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  size_t kept = 0;
  // The weights decrease, and the first one is 1.
  const auto min_weight = static_cast<float>(options_.min_p);
  while (kept < weights.size() && sum < target && weights[kept] >= min_weight) sum += weights[kept++];
  return tokens[PlaceOf(random_.Next(), weights.first(kept))].id;
}

int32_t Sampler::DrawFromAll(const ScannedLogits& scanned, SamplingWorkspace& workspace) {
  const LogitKernels& kernels = BestLogitKernels();
  const absl::Span<float> logits = scanned.logits;
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < logits.size()) {
    const float least = KeepTopCount(scanned, options_.top_k, workspace);
    for (float& logit : logits) logit = logit < least ? -kInfinity : logit;
  }
  kernels.weigh(logits.data(), logits.size(), scanned.max, scale_, workspace.weights.data(),
                workspace.block_sums.data());
  const absl::Span<double> sums = absl::MakeSpan(workspace.block_sums).first(LogitBlocks(logits.size()));
  float least = -kInfinity;
  if (options_.top_p < 1) {
    const double target = options_.top_p * std::accumulate(sums.begin(), sums.end(), 0.0);
    // Beyond e^-8 of the most likely token's weight there is rarely much.
    least = KeepTopWeight(scanned, target, 8 / scale_, workspace);
  }
  if (options_.top_p < 1 || options_.min_p > 0) {
    kernels.mask(logits.data(), logits.size(), least, static_cast<float>(options_.min_p), workspace.weights.data(),
                 sums.data());
  }
  const absl::Span<const float> weights = absl::MakeConstSpan(workspace.weights).first(logits.size());
  return static_cast<int32_t>(PlaceOf(random_.Next(), weights, sums));
}

}  // namespace predictd
