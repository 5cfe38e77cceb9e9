#ifndef PREDICTD_SERVER_TOKENIZER_ENCODE_LIMITS_H_
#define PREDICTD_SERVER_TOKENIZER_ENCODE_LIMITS_H_

#include <cstddef>
#include <limits>

#include "server/async/stop.h"

namespace predictd {

// When to give up tokenizing a text; the tokens so far are then of no use to anybody.
struct EncodeLimits {
  // Tokenizing gives up when there are more tokens than this.
  size_t max_tokens = std::numeric_limits<size_t>::max();
  // May be null. Once it has stopped, nobody wants the tokens.
  const StopSource* stop = nullptr;

  bool stopped() const { return stop != nullptr && stop->stopped(); }
  bool GivesUp(size_t tokens) const { return tokens > max_tokens || stopped(); }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_ENCODE_LIMITS_H_
