#ifndef PREDICTD_SERVER_ASYNC_TASK_H_
#define PREDICTD_SERVER_ASYNC_TASK_H_

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace predictd {

template <class T = void>
class Task;
inline void Detach(Task<> task);

namespace task_internal {

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  // Nobody awaits the coroutine, so its frame frees itself.
  bool detached = false;
  // The exception that the coroutine has thrown.
  std::exception_ptr exception;

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      if (!handle.promise().detached) return handle.promise().continuation;
      handle.destroy();
      return std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  // Errors travel as absl::Status. The only exception left is that of a failed allocation, and it goes to the awaiter.
  // A detached task has no awaiter, so it must catch everything that it can throw.
  void unhandled_exception() noexcept {
    if (detached) std::terminate();
    exception = std::current_exception();
  }
  void RethrowException() {
    if (exception) std::rethrow_exception(std::exchange(exception, nullptr));
  }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T Take() {
    RethrowException();
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void Take() { RethrowException(); }
};

}  // namespace task_internal

// A coroutine that starts when it is awaited, and that resumes its awaiter when it ends, on whichever thread that
// happens. An exception of the coroutine is thrown where it is awaited.
//
// A task is owned by its awaiter and run by one thread at a time. Three rules avoid bugs of GCC 12 and errors of
// lifetime: arguments are passed by value or outlive the await, arguments of a co_awaited call are named locals, and
// capturing lambdas are never coroutines.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = task_internal::Promise<T>;

  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().continuation = awaiter;
    return handle_;
  }
  T await_resume() { return handle_.promise().Take(); }

 private:
  friend void Detach(Task<> task);

  std::coroutine_handle<promise_type> handle_;
};

namespace task_internal {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace task_internal

// Runs the task on this thread up to its first suspension; its frame frees itself when it ends.
inline void Detach(Task<> task) {
  const auto handle = std::exchange(task.handle_, nullptr);
  handle.promise().detached = true;
  handle.resume();
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_TASK_H_
