#ifndef PREDICTD_SERVER_SAMPLING_SAMPLING_OPTIONS_H_
#define PREDICTD_SERVER_SAMPLING_SAMPLING_OPTIONS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace predictd {

// How the next token of a sequence is chosen. Names and ranges are those of OpenAI's API where it has the option, and
// vLLM's otherwise; by default tokens are drawn from the model's own distribution. Sampler says in which order the
// options are applied.
struct SamplingOptions {
  // 0 is greedy: the most likely token is always chosen, and top_k, top_p, min_p and seed make no difference.
  double temperature = 1;
  // Keeps only this many of the most likely tokens; 0 keeps all.
  int64_t top_k = 0;
  // Keeps only the fewest most likely tokens that together have this probability.
  double top_p = 1;
  // Keeps only tokens whose probability is at least this fraction of the most likely token's.
  double min_p = 0;
  // Divides the positive and multiplies the negative logits of tokens of the prompt and the output; 0.01 to 10, where 1
  // turns it off.
  double repetition_penalty = 1;
  // Subtracted from the logits of tokens of the output: once, and for each time that they occur.
  double presence_penalty = 0;
  double frequency_penalty = 0;
  // The same seed gives the same tokens for the same logits, on any machine.
  uint64_t seed = 0;
  // Token ids, and what is added to their logits.
  std::vector<std::pair<int32_t, float>> logit_bias = {};
  // Whether each token comes with its log probability, and how many of the most likely tokens come with theirs.
  bool logprobs = false;
  int top_logprobs = 0;

  // INVALID_ARGUMENT names the first field that is wrong, as "field: expected ..., got ...". `vocabulary_size` is the
  // number of logits.
  absl::Status Validate(int64_t vocabulary_size) const;
};

// The greatest top_logprobs.
inline constexpr int kMaxTopLogprobs = 20;

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_SAMPLING_OPTIONS_H_
