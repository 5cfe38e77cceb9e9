#ifndef PREDICTD_SERVER_ASYNC_TIMER_HEAP_H_
#define PREDICTD_SERVER_ASYNC_TIMER_HEAP_H_

#include <functional>

#include "server/async/clock.h"
#include "server/async/indexed_heap.h"

namespace predictd {

class TimerHeap;

// Calls a function once at a given time, unless it is destroyed or disarmed before. Arming allocates nothing, so that
// every call can have a timer. Used only on the thread of its heap.
class Timer {
 public:
  Timer(TimerHeap& heap, std::function<void()> function) : heap_(heap), function_(std::move(function)) {}
  ~Timer() { Disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Makes the timer fire at `when`, which replaces the time that it was armed for. With kNever it does not fire.
  void Arm(TimePoint when);
  void Disarm();

 private:
  friend class TimerHeap;

  TimerHeap& heap_;
  const std::function<void()> function_;
  TimePoint when_ = kNever;
  size_t index_ = kNotInHeap;
};

// The timers of one event loop, earliest first; arming and disarming take O(log n). It is used by one thread and
// outlives its timers.
class TimerHeap {
 public:
  // The time of the earliest timer, or kNever.
  TimePoint next() const { return heap_.empty() ? kNever : heap_.top()->when_; }
  size_t size() const { return heap_.size(); }

  // Fires every timer that is due at `now`, in order of time. The functions may arm, disarm and destroy timers,
  // including their own.
  void FireDue(TimePoint now);

 private:
  friend class Timer;

  struct Order {
    static bool Less(const Timer& a, const Timer& b) { return a.when_ < b.when_; }
    static size_t& Index(Timer& timer) { return timer.index_; }
  };

  IndexedHeap<Timer*, Order> heap_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_TIMER_HEAP_H_
