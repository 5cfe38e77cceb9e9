#ifndef PREDICTD_SERVER_GENERATION_SAMPLER_H_
#define PREDICTD_SERVER_GENERATION_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/generation/random_stream.h"
#include "server/generation/sampling_options.h"
#include "server/generation/sampling_workspace.h"
#include "server/generation/token_penalties.h"
#include "server/generation/top_tokens.h"

namespace predictd {

struct TokenLogprob {
  int32_t id = 0;
  // Natural logarithm. Of the distribution at temperature 1 after logit bias and penalties, and before top_k, top_p and
  // min_p: so it does not change with how freely one samples, and the likeliest tokens are all there.
  float logprob = 0;
};

struct SampledToken {
  int32_t id = 0;
  // 0 unless asked for.
  float logprob = 0;
  // The top_logprobs most likely tokens, the likeliest first; fewer if fewer are possible at all.
  std::vector<TokenLogprob> top;
};

// Chooses the tokens of one sequence. What is applied, in this order: logit bias; repetition penalty; frequency and
// presence penalties; temperature; top_k; top_p, of what top_k left; min_p, of what both left; then a token is drawn.
// Ties go to the lowest id, so top_k leaves k tokens and greedy choice is the first of the largest.
//
// The tokens are a function of options, prompt and logits: the same on every machine and thread, alone and beside
// others. Owned by the sequence. Not thread-safe; a copy goes on from where the original was.
class Sampler {
 public:
  // INVALID_ARGUMENT if an option is wrong, or a token of the prompt not below `vocabulary_size`, which is the number
  // of logits.
  static absl::Status Validate(const SamplingOptions& options, int64_t vocabulary_size,
                               absl::Span<const int32_t> prompt);
  // The same if it is not valid.
  static absl::StatusOr<Sampler> Create(SamplingOptions options, int64_t vocabulary_size,
                                        absl::Span<const int32_t> prompt);

  // The next token. Changes the logits. INTERNAL if there are not as many as the vocabulary has tokens, if one is NaN
  // or infinite, or if all are -inf; then nothing has been chosen.
  absl::StatusOr<SampledToken> Next(absl::Span<float> logits, SamplingWorkspace& workspace);

 private:
  Sampler(SamplingOptions options, int64_t vocabulary_size, absl::Span<const int32_t> prompt);

  absl::StatusOr<ScannedLogits> Scan(absl::Span<float> logits, SamplingWorkspace& workspace) const;
  int32_t Draw(const ScannedLogits& scanned, SamplingWorkspace& workspace);
  int32_t DrawFromTopK(const ScannedLogits& scanned, SamplingWorkspace& workspace);
  int32_t DrawFromAll(const ScannedLogits& scanned, SamplingWorkspace& workspace);

  SamplingOptions options_;
  int64_t vocabulary_size_;
  // What differences between logits are multiplied with: 1 / temperature, within what a float can hold.
  float scale_;
  TokenPenalties penalties_;
  RandomStream random_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_SAMPLER_H_
