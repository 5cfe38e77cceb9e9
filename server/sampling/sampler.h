#ifndef PREDICTD_SERVER_SAMPLING_SAMPLER_H_
#define PREDICTD_SERVER_SAMPLING_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/sampling/random_stream.h"
#include "server/sampling/sampling_options.h"
#include "server/sampling/sampling_workspace.h"
#include "server/sampling/token_penalties.h"
#include "server/sampling/top_tokens.h"

namespace predictd {

struct TokenLogprob {
  int32_t id = 0;
  // The natural logarithm of the probability, in the distribution at temperature 1 after logit bias and penalties and
  // before top_k, top_p and min_p: so it does not depend on how freely one samples, and the likeliest tokens are always
  // present.
  float logprob = 0;
};

struct SampledToken {
  int32_t id = 0;
  // 0 unless log probabilities were requested.
  float logprob = 0;
  // The top_logprobs most likely tokens, the likeliest first; fewer if fewer tokens are possible at all.
  std::vector<TokenLogprob> top;
};

// Chooses the tokens of one sequence. The options are applied in this order: logit bias; repetition penalty; frequency
// and presence penalties; temperature; top_k; top_p, to what top_k left; min_p, to what both left; then a token is
// drawn. Ties go to the lowest id, so top_k leaves k tokens, and greedy choice takes the first of the largest logits.
//
// The tokens are a function of the options, the prompt and the logits: the same on every machine and thread, alone and
// beside other sequences. Owned by the sequence. Not thread-safe; a copy continues where the original was.
class Sampler {
 public:
  // INVALID_ARGUMENT if an option is wrong, or if a token of the prompt is not below `vocabulary_size`, which is the
  // number of logits.
  static absl::Status Validate(const SamplingOptions& options, int64_t vocabulary_size,
                               absl::Span<const int32_t> prompt);
  // Fails like Validate if the options or the prompt are not valid.
  static absl::StatusOr<Sampler> Create(SamplingOptions options, int64_t vocabulary_size,
                                        absl::Span<const int32_t> prompt);

  // Chooses the next token. Changes the logits. INTERNAL if there are not as many logits as the vocabulary has tokens,
  // if one is NaN or infinite, or if all are -inf; then nothing has been chosen.
  absl::StatusOr<SampledToken> Next(absl::Span<float> logits, SamplingWorkspace& workspace);

 private:
  Sampler(SamplingOptions options, int64_t vocabulary_size, absl::Span<const int32_t> prompt);

  absl::StatusOr<ScannedLogits> Scan(absl::Span<float> logits, SamplingWorkspace& workspace) const;
  int32_t Draw(const ScannedLogits& scanned, SamplingWorkspace& workspace);
  int32_t DrawFromTopK(const ScannedLogits& scanned, SamplingWorkspace& workspace);
  int32_t DrawFromAll(const ScannedLogits& scanned, SamplingWorkspace& workspace);

  SamplingOptions options_;
  int64_t vocabulary_size_;
  // The factor for differences between logits: 1 / temperature, within what a float can hold.
  float scale_;
  TokenPenalties penalties_;
  RandomStream random_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_SAMPLER_H_
