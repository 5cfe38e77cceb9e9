#ifndef PREDICTD_SERVER_GENERATION_GENERATION_COST_H_
#define PREDICTD_SERVER_GENERATION_GENERATION_COST_H_

#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// What a generator's steps have cost lately, and what follows for how much of a prompt is computed at once. Not
// thread-safe.
class GenerationCost {
 public:
  // The most time of a step that goes into prompts, however many wait: other models wait for its end, too, and a caller
  // who hangs up is noticed then.
  static constexpr Duration kLongestPrefill = std::chrono::milliseconds(100);

  void RecordDecode(Duration took);
  void RecordPrefill(int64_t tokens, Duration took);

  // How many tokens of prompts to compute in one step, beside `running` answers while `waiting` requests want to begin
  // (those included whose prompts are being computed). Beside as many as wait or more, as many as take twice what their
  // own step takes, which lets them keep their pace; beside fewer, in proportion more, up to kLongestPrefill: those
  // who wait count as much.
  // Alone as many as take that long.
  int64_t PrefillTokens(int64_t running, int64_t waiting) const;

  // How many of the `left` tokens of a prompt to compute at once, if that many may be. Parts end at multiples of kPart
  // tokens of the prompt: sums of another order would otherwise make an answer depend on how fast the machine was.
  static constexpr int64_t kPart = 16;
  static int64_t Part(int64_t left, int64_t allowed);

 private:
  Duration decode_{};
  Duration prefill_token_{};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATION_COST_H_
