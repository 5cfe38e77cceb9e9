#ifndef PREDICTD_SERVER_GENERATION_GENERATION_COST_H_
#define PREDICTD_SERVER_GENERATION_GENERATION_COST_H_

#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// What a generator's steps have cost lately, and how many tokens of prompts a step should compute because of that. Not
// thread-safe.
class GenerationCost {
 public:
  // The longest time that a step spends on prompts, however many wait: other models wait for the end of the step, too,
  // and it is only then that the generator notices a caller that hangs up.
  static constexpr Duration kLongestPrefill = std::chrono::milliseconds(100);

  void RecordDecode(Duration took);
  void RecordPrefill(int64_t tokens, Duration took);

  // How many tokens of prompts to compute in one step beside `running` answers, while `waiting` requests want to begin
  // (including those whose prompts are being computed). If at least as many answers run as requests wait, the prompts
  // get the time of two decoding steps, so that the running answers keep their pace. If fewer run, the prompts get
  // proportionally more, up to kLongestPrefill, because a waiting request counts as much as a running one. If none
  // runs, they get kLongestPrefill.
  int64_t PrefillTokens(int64_t running, int64_t waiting) const;

  // How many of the `left` tokens of a prompt to compute at once if at most `allowed` may be. Parts end at multiples of
  // kPart tokens of the prompt: otherwise sums would be added in another order, and an answer would depend on how fast
  // the machine was.
  static constexpr int64_t kPart = 16;
  static int64_t Part(int64_t left, int64_t allowed);

 private:
  Duration decode_{};
  Duration prefill_token_{};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATION_COST_H_
