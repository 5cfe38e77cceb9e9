#ifndef PREDICTD_SERVER_GENERATION_GENERATION_H_
#define PREDICTD_SERVER_GENERATION_GENERATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/async/clock.h"
#include "server/generation/sampler.h"
#include "server/generation/sampling_options.h"
#include "server/model/waiting_order.h"

namespace predictd {

// A prompt and how to continue it, validated.
struct GenerationRequest {
  // At least one token, each below the vocabulary's size.
  std::vector<int32_t> prompt;
  // The prompt and so many tokens fit into max_length.
  int64_t max_tokens = 1;
  // How many answers; each has a seed of its own, made of `sampling.seed`.
  int answers = 1;
  SamplingOptions sampling;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  // Whether the model's own end tokens are tokens like any other.
  bool ignore_end = false;
  // Whether the beginning of the prompt may come from what is kept of earlier requests, and be kept for later ones.
  bool reuse_prefix = true;
  // Orders those that wait for a slot.
  int64_t priority = kDefaultPriority;
  TimePoint deadline = kNever;
};

// Why an answer ended by itself.
enum class FinishReason { kStop, kLength };

// What came of an answer since one last looked.
struct AnswerPiece {
  int index = 0;
  // Whole UTF-8 characters.
  std::string text;
  std::vector<SampledToken> tokens;
  // Set in the last one.
  std::optional<FinishReason> finish_reason;
};

// What a request took. Times are unset (the clock's epoch) for what has not come.
struct GenerationTimings {
  TimePoint enqueued;
  // The prompt of the first answer was begun.
  TimePoint started;
  TimePoint first_token;
  TimePoint last_token;
  // Tokens of the prompt that were not computed again, of the first answer.
  int64_t cached_tokens = 0;
  int64_t generated_tokens = 0;
  // Answers that have ended, by reason.
  int stopped_answers = 0;
  int cut_answers = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATION_H_
