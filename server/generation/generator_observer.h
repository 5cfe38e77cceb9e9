#ifndef PREDICTD_SERVER_GENERATION_GENERATOR_OBSERVER_H_
#define PREDICTD_SERVER_GENERATION_GENERATOR_OBSERVER_H_

#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// Told what a generator does, on any thread; must be quick, and not throw. By default it does not listen.
class GeneratorObserver {
 public:
  virtual ~GeneratorObserver() = default;
  // Answers that wait for a slot, also those whose prompts are not in tokens yet; the changes add up to 0 when nothing
  // is left.
  virtual void OnWaitingChange(int64_t /*by*/) {}
  // Answers that are being generated now, and their tokens in the model's cache.
  virtual void OnSlotsUsed(int64_t /*slots*/, int64_t /*cached_tokens*/) {}
  // A part of a prompt, or a token of each of so many sequences, was computed.
  virtual void OnPrefill(int64_t /*tokens*/, Duration /*took*/) {}
  virtual void OnDecode(int64_t /*sequences*/, Duration /*took*/) {}
  // Tokens of a prompt that were taken over from what is kept of earlier ones.
  virtual void OnPrefixReused(int64_t /*tokens*/) {}
  // Between a request's arrival and its first token, and between two tokens of an answer.
  virtual void OnFirstToken(Duration /*since_arrival*/) {}
  virtual void OnNextToken(Duration /*since_last*/) {}
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATOR_OBSERVER_H_
