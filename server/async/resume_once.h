#ifndef PREDICTD_SERVER_ASYNC_RESUME_ONCE_H_
#define PREDICTD_SERVER_ASYNC_RESUME_ONCE_H_

#include <atomic>
#include <coroutine>

namespace predictd {

// Resumes a suspended coroutine exactly once, although several threads may have a reason to: a result, a stop, a timer.
//
// The awaiter's await_suspend calls Prepare, starts everything that may call Claim, and returns TrySuspend() as the
// last thing that it does: until then the coroutine, and the awaiter in its frame, stay alive even if another thread
// claims them. Thread-safe.
class ResumeOnce {
 public:
  // Returns true to the first caller only, which writes the outcome and then calls Resume.
  bool Claim() { return !claimed_.exchange(true, std::memory_order_acq_rel); }
  bool claimed() const { return claimed_.load(std::memory_order_acquire); }

  // Resumes the coroutine on this thread if it is suspended; otherwise TrySuspend will return false. The object, which
  // may live in the coroutine's frame, must not be touched afterwards.
  void Resume() {
    const std::coroutine_handle<> waiter = waiter_;
    if (phase_.fetch_or(kResumed, std::memory_order_acq_rel) & kSuspended) waiter.resume();
  }

  void Prepare(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  // Returns whether the coroutine stays suspended.
  bool TrySuspend() { return !(phase_.fetch_or(kSuspended, std::memory_order_acq_rel) & kResumed); }

 private:
  static constexpr int kSuspended = 1;
  static constexpr int kResumed = 2;

  std::coroutine_handle<> waiter_;
  std::atomic<bool> claimed_{false};
  std::atomic<int> phase_{0};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_RESUME_ONCE_H_
