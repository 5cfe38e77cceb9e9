#ifndef PREDICTD_SERVER_ASYNC_CLOCK_H_
#define PREDICTD_SERVER_ASYNC_CLOCK_H_

#include <time.h>

#include <chrono>

namespace predictd {

// Time as every deadline, queue and measurement in the server uses it: monotonic, in nanoseconds.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

// Stands for "no deadline".
inline constexpr TimePoint kNever = TimePoint::max();

// Returns `time` + `duration`, or kNever if the sum is beyond what a TimePoint holds, or the earliest TimePoint if it
// is before that. It is for every duration that a caller or an operator chose, because a signed overflow would turn a
// long wait into one that is over.
constexpr TimePoint SaturatingAdd(TimePoint time, Duration duration) {
  Duration::rep sum = 0;
  if (!__builtin_add_overflow(time.time_since_epoch().count(), duration.count(), &sum)) return TimePoint(Duration(sum));
  return duration > Duration::zero() ? kNever : TimePoint::min();
}

inline double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// The source of time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  // How much processor time this thread has used. It costs more than Now.
  virtual Duration ThreadTime() const = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  Duration ThreadTime() const override {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_CLOCK_H_
