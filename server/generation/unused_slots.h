#ifndef PREDICTD_SERVER_GENERATION_UNUSED_SLOTS_H_
#define PREDICTD_SERVER_GENERATION_UNUSED_SLOTS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// Knows which slots of a KV cache have memory that has been unused for a while. Slots are used from the first one on,
// so a count says which ones are in use. Not thread-safe.
class UnusedSlots {
 public:
  // Memory that has been unused for this long goes back to the system, after twice this time at the latest. Taking it
  // again costs milliseconds for each slot.
  static constexpr Duration kKeep = std::chrono::minutes(10);

  struct Range {
    int64_t first = 0;
    int64_t count = 0;
  };

  // Call this when the first `slots` slots are in use.
  void Use(int64_t slots) { used_ = std::max(used_, slots); }

  // The slots whose memory to give back now, while the first `in_use` slots are in use.
  Range Take(TimePoint now, int64_t in_use) {
    touched_ = std::max(touched_, used_);
    if (now < next_look_) return {};
    const Range unused = {.first = used_, .count = touched_ - used_};
    touched_ = used_;
    used_ = in_use;
    next_look_ = now + kKeep;
    return unused;
  }

  // Whether there will be more to give back even if no slot is used again, and the earliest time for that.
  bool any() const { return touched_ > 0; }
  TimePoint next_look() const { return next_look_; }

 private:
  // How many slots may have memory, and how many were in use since the last look.
  int64_t touched_ = 0;
  int64_t used_ = 0;
  TimePoint next_look_{};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_UNUSED_SLOTS_H_
