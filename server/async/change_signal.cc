#include "server/async/change_signal.h"

namespace predictd {
namespace {

void ResumeIfFirst(ResumeOnce& waiter) {
  if (waiter.Claim()) waiter.Resume();
}

}  // namespace

void ChangeSignal::Notify() {
  std::unordered_set<std::shared_ptr<ResumeOnce>> waiters;
  {
    const MutexLock lock(mutex_);
    ++count_;
    waiters.swap(waiters_);
  }
  for (const auto& waiter : waiters) ResumeIfFirst(*waiter);
}

bool ChangeSignal::Change::await_suspend(std::coroutine_handle<> waiter) {
  // The copy outlives the awaiter, which is gone once another thread has resumed the coroutine.
  const std::shared_ptr<ResumeOnce> mine = waiter_;
  mine->Prepare(waiter);
  on_stop_.emplace(stop_, [this] {
    const std::shared_ptr<ResumeOnce> kept = waiter_;
    {
      const MutexLock lock(signal_.mutex_);
      signal_.waiters_.erase(kept);
    }
    ResumeIfFirst(*kept);
  });
  bool missed = false;
  {
    const MutexLock lock(signal_.mutex_);
    missed = signal_.count_ != seen_;
    if (!missed && !mine->claimed()) signal_.waiters_.insert(mine);
  }
  if (missed) ResumeIfFirst(*mine);
  return mine->TrySuspend();
}

}  // namespace predictd
