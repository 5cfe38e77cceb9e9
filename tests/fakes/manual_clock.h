#ifndef PREDICTD_TESTS_FAKES_MANUAL_CLOCK_H_
#define PREDICTD_TESTS_FAKES_MANUAL_CLOCK_H_

#include <atomic>

#include "server/async/clock.h"

namespace predictd {

// A clock that stands still until the test moves it. Starts at the epoch. Thread-safe.
class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_.load())); }
  // The time that passed, as if threads did nothing but compute, without the time that Preempt added.
  Duration ThreadTime() const override { return Duration(now_.load() - preempted_.load()); }
  void Preempt(Duration by) {
    preempted_ += by.count();
    Advance(by);
  }
  void Advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<Duration::rep> now_{0};
  std::atomic<Duration::rep> preempted_{0};
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_MANUAL_CLOCK_H_
