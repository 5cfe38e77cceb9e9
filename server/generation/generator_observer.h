#ifndef PREDICTD_SERVER_GENERATION_GENERATOR_OBSERVER_H_
#define PREDICTD_SERVER_GENERATION_GENERATOR_OBSERVER_H_

#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// Is told what a generator does, on any thread. The methods must be quick and must not throw. By default they do
// nothing.
class GeneratorObserver {
 public:
  virtual ~GeneratorObserver() = default;
  // The number of answers that wait for a slot changed, including those whose prompts are not tokenized yet. The
  // changes add up to 0 when none is left.
  virtual void OnWaitingChange(int64_t /*by*/) {}
  // How many answers are being generated now, and how many of their tokens are in the model's KV cache.
  virtual void OnSlotsUsed(int64_t /*slots*/, int64_t /*cached_tokens*/) {}
  // A part of a prompt was computed, or one token of each of that many sequences.
  virtual void OnPrefill(int64_t /*tokens*/, Duration /*took*/) {}
  virtual void OnDecode(int64_t /*sequences*/, Duration /*took*/) {}
  // This many tokens of a prompt were taken from the prefix cache.
  virtual void OnPrefixReused(int64_t /*tokens*/) {}
  // The time between a request's arrival and its first token, and between two tokens of an answer.
  virtual void OnFirstToken(Duration /*since_arrival*/) {}
  virtual void OnNextToken(Duration /*since_last*/) {}
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATOR_OBSERVER_H_
