#ifndef PREDICTD_SERVER_GENERATION_ENCODE_LIMITS_H_
#define PREDICTD_SERVER_GENERATION_ENCODE_LIMITS_H_

#include <cstddef>
#include <limits>

#include "server/async/stop.h"

namespace predictd {

// When to give up on putting a text into tokens: what there is by then is of no use to anybody.
struct EncodeLimits {
  // More tokens than this are too many.
  size_t max_tokens = std::numeric_limits<size_t>::max();
  // May be null. Once it has stopped, nobody wants the tokens.
  const StopSource* stop = nullptr;

  bool stopped() const { return stop != nullptr && stop->stopped(); }
  bool GivesUp(size_t tokens) const { return tokens > max_tokens || stopped(); }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_ENCODE_LIMITS_H_
