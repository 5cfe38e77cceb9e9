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

// Under which conditions a request is admitted to the queue.
enum class Admission {
  // The request is refused if the queue is full, or if it would miss its deadline.
  kIfRoom,
  // It is also refused if the queue is half full. Such a request can come later, and leaves the rest of the queue to
  // those that cannot.
  kIfSpare,
  // The request is never refused: it takes the place of one of the same call that has just ended, which bounds how many
  // there are.
  kReplacement,
};

// The load that a request meets when it asks to be queued.
struct LoadAhead {
  // Rows of the requests that would run before it, and its own rows.
  int64_t rows_ahead = 0;
  int64_t rows = 1;
  int64_t max_batch_rows = 1;
  // Workers that its model can count on while other models want them too; may be a fraction.
  double workers = 1;
  // The time until the first of these workers is free.
  Duration until_free = Duration::zero();
};

// How long it would take to answer the request: the time of the batches ahead of it and of its own batch.
Duration TimeToAnswer(const LoadAhead& load, const BatchCost& cost);

// The delay to advise before a retry when the cause of the refusal lasts for `time`.
absl::Duration RetryDelay(Duration time);

// RESOURCE_EXHAUSTED, with a message that an answer takes `time` and that `left` remains until the deadline.
absl::Status MissStatus(Duration time, Duration left) noexcept;

// How much more than the estimate must fit before a deadline. A request that is admitted to a full queue is always
// close to the limit, so without a margin half of these would be late; too large a margin refuses requests that would
// have been in time. The margin therefore adapts: every miss widens it and every answer in time narrows it, which
// settles where about one request in thirty misses its deadline. Thread-safe without locks; of two concurrent changes
// one may be lost.
class DeadlineMargin {
 public:
  // Whether a request with `left` until its deadline should be refused at once.
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
