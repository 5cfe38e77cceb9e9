#include "server/async/timer_heap.h"

namespace predictd {

void Timer::Arm(TimePoint when) {
  Disarm();
  if (when == kNever) return;
  when_ = when;
  heap_.heap_.Push(this);
}

void Timer::Disarm() {
  if (index_ != kNotInHeap) heap_.heap_.Remove(index_);
}

void TimerHeap::FireDue(TimePoint now) {
  while (next() <= now && !heap_.empty()) {
    // This is a copy because the function may destroy its timer.
    const std::function<void()> function = heap_.Pop()->function_;
    function();
  }
}

}  // namespace predictd
