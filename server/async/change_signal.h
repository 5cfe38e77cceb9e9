#ifndef PREDICTD_SERVER_ASYNC_CHANGE_SIGNAL_H_
#define PREDICTD_SERVER_ASYNC_CHANGE_SIGNAL_H_

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/async/resume_once.h"
#include "server/async/stop.h"

namespace predictd {

// Tells coroutines that some state has changed. A coroutine that wants to miss nothing reads count(), then the state,
// and then awaits a change after that count:
//
//   const uint64_t seen = signal.count();
//   ... read the state ...
//   ChangeSignal::Change change(signal, seen, stop);
//   co_await change;
//
// Whoever changes the state calls Notify afterwards. Thread-safe.
class ChangeSignal {
 public:
  class Change;

  uint64_t count() const {
    const MutexLock lock(mutex_);
    return count_;
  }

  // Coroutines that wait continue on this thread, so no lock may be held that they take.
  void Notify();

 private:
  mutable Mutex mutex_;
  std::unordered_set<std::shared_ptr<ResumeOnce>> waiters_ ABSL_GUARDED_BY(mutex_);
  uint64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Awaits the next change after `seen`, or the stop. The coroutine continues on the thread that made the change or the
// stop.
class ChangeSignal::Change {
 public:
  Change(ChangeSignal& signal, uint64_t seen, StopSource& stop) : signal_(signal), seen_(seen), stop_(stop) {}
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter);
  void await_resume() const noexcept {}

 private:
  ChangeSignal& signal_;
  const uint64_t seen_;
  StopSource& stop_;
  std::shared_ptr<ResumeOnce> waiter_ = std::make_shared<ResumeOnce>();
  std::optional<StopCallback> on_stop_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_CHANGE_SIGNAL_H_
