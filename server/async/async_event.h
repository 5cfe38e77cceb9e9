#ifndef PREDICTD_SERVER_ASYNC_ASYNC_EVENT_H_
#define PREDICTD_SERVER_ASYNC_ASYNC_EVENT_H_

#include <atomic>
#include <coroutine>

namespace predictd {

// Tells one coroutine at a time that there is something new. `co_await event.Wait()` returns once Set has been called
// since the last Wait returned; if it has been called already, it returns at once. Several Sets count as one. Any
// thread may call Set, and the coroutine resumes on that thread.
class AsyncEvent {
 public:
  class Awaiter {
   public:
    explicit Awaiter(AsyncEvent& event) : event_(event) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) noexcept {
      void* expected = nullptr;
      return event_.state_.compare_exchange_strong(expected, waiter.address(), std::memory_order_acq_rel);
    }
    // The event was set before, or has just been set. In the second case Set has taken the waiter out already.
    void await_resume() const noexcept {
      void* expected = event_.set();
      event_.state_.compare_exchange_strong(expected, nullptr, std::memory_order_acq_rel);
    }

   private:
    AsyncEvent& event_;
  };

  Awaiter Wait() { return Awaiter(*this); }

  // The coroutine may end, and with it this event, before Set returns.
  void Set() {
    void* before = state_.load(std::memory_order_acquire);
    // The thread that resumes a waiter takes it out. If none waits, the next one will not have to.
    while (!state_.compare_exchange_weak(before, waits(before) ? nullptr : set(), std::memory_order_acq_rel)) {
    }
    if (waits(before)) std::coroutine_handle<>::from_address(before).resume();
  }

 private:
  // The state of an event that was set: no coroutine has this address.
  void* set() { return this; }
  bool waits(const void* state) const { return state != nullptr && state != this; }

  // Null, set(), or the address of the coroutine that waits.
  std::atomic<void*> state_{nullptr};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_ASYNC_EVENT_H_
