#ifndef PREDICTD_SERVER_ENGINE_ADMISSION_H_
#define PREDICTD_SERVER_ENGINE_ADMISSION_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/async/clock.h"
#include "server/engine/batch_cost.h"

namespace predictd {

// Whether a request may be refused.
enum class Admission {
  // If the queue is full, or it would miss its deadline.
  kIfRoom,
  // Also if the queue is half full: it can come later, and leaves the rest to those that cannot.
  kIfSpare,
  // It takes the place of one of the same call that has just ended, which bounds how many there are.
  kReplacement,
};

// What a request meets when it asks to be queued.
struct LoadAhead {
  // Of those that would run before it, and its own.
  int64_t rows_ahead = 0;
  int64_t rows = 1;
  int64_t max_batch_rows = 1;
  // Workers that its model can count on while others want them too; may be a fraction.
  double workers = 1;
  // Until the first of them is free.
  Duration until_free = Duration::zero();
};

// How long the request would take to be answered: the batches ahead of it, and its own.
Duration TimeToAnswer(const LoadAhead& load, const BatchCost& cost);

// When to try again, of something that takes that long to go by.
absl::Duration RetryDelay(Duration time);

// RESOURCE_EXHAUSTED: an answer would take that long, and so much is left until the deadline.
absl::Status MissStatus(Duration time, Duration left) noexcept;

// How much more than the estimate must fit before a deadline. What is admitted to a full queue is always close to the
// limit, so without a margin half of it would be late; too large a one refuses what would have been in time. So it is
// found: every miss widens it and every answer in time narrows it, which settles where about one in thirty misses.
// Thread-safe without locks; of two changes at once one may be lost.
class DeadlineMargin {
 public:
  // Whether a request that is to be answered within `left` should be refused at once.
  bool WouldMiss(Duration time_to_answer, Duration left) const {
    return time_to_answer + time_to_answer * thousandths_.load(std::memory_order_relaxed) / 1000 > left;
  }

  void OnMissed() { Change(kStep); }
  void OnMet() { Change(-kStep / 30); }

 private:
  static constexpr int kStep = 100;
  static constexpr int kLeast = 125;
  static constexpr int kMost = 500;

  void Change(int by) {
    const int now = thousandths_.load(std::memory_order_relaxed);
    const int then = std::clamp(now + by, kLeast, kMost);
    if (then != now) thousandths_.store(then, std::memory_order_relaxed);
  }

  std::atomic<int> thousandths_{kLeast};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_ADMISSION_H_
