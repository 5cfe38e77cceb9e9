#include "server/async/step_queue.h"

#include <utility>

namespace predictd {

using std::chrono::steady_clock;

bool StepQueue::ByPlace::Less(const Entry& a, const Entry& b) {
  return a.place_ != b.place_ ? a.place_ < b.place_ : a.number_ < b.number_;
}

size_t& StepQueue::ByPlace::Index(Entry& entry) {
  return entry.index_;
}

StepQueue::StepQueue(Options options, WorkScheduler& scheduler)
    : WorkSource(options.share), options_(options), scheduler_(scheduler) {}

StepQueue::Entry StepQueue::Enter(TimePoint place, StopSource& stop) {
  return Entry(*this, place, stop);
}

size_t StepQueue::waiting() const {
  MutexLock lock(mutex_);
  return waiting_.size();
}

bool StepQueue::Entry::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  // The callback is registered before the coroutine can have its turn, because then this awaiter may be gone. Push sees
  // a stop that comes before it.
  on_stop_.emplace(stop_, [this] { queue_.OnStop(*this); });
  // A worker resumes the coroutine, and nobody else does. From here on only locals may be used.
  const std::shared_ptr<StepQueue> queue = queue_.shared_from_this();
  if (!queue->Push(*this)) return false;
  queue->scheduler_.Ready(queue);
  return true;
}

StepQueue::Outcome StepQueue::Entry::await_resume() {
  // What runs next is not a part of waiting: from here on the coroutine looks at a stop itself.
  on_stop_.reset();
  return outcome_;
}

bool StepQueue::Push(Entry& entry) {
  MutexLock lock(mutex_);
  if (entry.outcome_ == Outcome::kStopped) return false;
  if (waiting_.size() >= options_.capacity) {
    entry.outcome_ = Outcome::kFull;
    return false;
  }
  entry.number_ = entered_++;
  waiting_.Push(&entry);
  return true;
}

void StepQueue::OnStop(Entry& entry) {
  std::coroutine_handle<> waiter;
  {
    MutexLock lock(mutex_);
    // The coroutine has its turn, and looks at the stop itself.
    if (entry.index_ == kNotInHeap && entry.number_ != kNotEntered) return;
    entry.outcome_ = Outcome::kStopped;
    if (entry.index_ == kNotInHeap) return;
    waiting_.Remove(entry.index_);
    waiter = entry.waiter_;
  }
  waiter.resume();
}

void StepQueue::RunStep() {
  std::coroutine_handle<> waiter;
  bool more = false;
  {
    MutexLock lock(mutex_);
    if (waiting_.empty()) return;
    waiter = waiting_.Pop()->waiter_;
    more = !waiting_.empty();
  }
  if (more) scheduler_.Ready(shared_from_this());
  const TimePoint started = steady_clock::now();
  waiter.resume();
  step_cost_.store((steady_clock::now() - started).count(), std::memory_order_relaxed);
}

Duration StepQueue::StepCost() const {
  const auto cost = Duration(step_cost_.load(std::memory_order_relaxed));
  return cost > Duration::zero() ? cost : Duration::max();
}

}  // namespace predictd
