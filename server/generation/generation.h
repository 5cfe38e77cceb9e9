#ifndef PREDICTD_SERVER_GENERATION_GENERATION_H_
#define PREDICTD_SERVER_GENERATION_GENERATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/async/clock.h"
#include "server/generation/prompt.h"
#include "server/model/waiting_order.h"
#include "server/sampling/sampler.h"
#include "server/sampling/sampling_options.h"

namespace predictd {

// How a prompt is to be continued.
struct AnswerOptions {
  // How many answers to generate. Each has its own seed, which is derived from `sampling.seed`.
  int answers = 1;
  SamplingOptions sampling;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  // Whether the model's own end tokens are treated like any other token.
  bool ignore_end = false;
  // Whether the beginning of the prompt may come from the prefix cache, and may be kept there for later requests.
  bool reuse_prefix = true;
};

// A generation request, of which everything has been checked that needs no tokens.
struct GenerationRequest {
  Prompt prompt;
  // The most tokens of an answer; as many as fit if there is none.
  std::optional<int64_t> max_tokens = {};
  AnswerOptions options = {};
  // These order the prompts that wait to be encoded, and the answers that wait for a slot.
  int64_t priority = kDefaultPriority;
  TimePoint deadline = kNever;
};

// A request whose prompt has become tokens.
struct EncodedRequest {
  // At least one token, each below the vocabulary's size.
  std::vector<int32_t> prompt;
  // The prompt and this many tokens fit into max_length.
  int64_t max_tokens = 1;
  AnswerOptions options = {};
};

// When the prompt of a request became tokens. Both times are unset (the clock's epoch) if that was never begun.
struct EncodingTime {
  TimePoint started;
  TimePoint ended;
};

// Why an answer ended by itself.
enum class FinishReason { kStop, kLength };

// What an answer has produced since the caller last took a piece.
struct AnswerPiece {
  int index = 0;
  // Whole UTF-8 characters.
  std::string text;
  std::vector<SampledToken> tokens;
  // Set in an answer's last piece.
  std::optional<FinishReason> finish_reason;
};

// How long the stages of a request took. A time is unset (the clock's epoch) until its stage is reached.
struct GenerationTimings {
  TimePoint enqueued;
  // When the prompt of the first answer was begun.
  TimePoint started;
  TimePoint first_token;
  TimePoint last_token;
  int64_t prompt_tokens = 0;
  // How many tokens of the first answer's prompt came from the prefix cache and were not computed again.
  int64_t cached_tokens = 0;
  int64_t generated_tokens = 0;
  // How many answers have ended, by reason.
  int stopped_answers = 0;
  int cut_answers = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATION_H_
