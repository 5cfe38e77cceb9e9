#include "server/async/task_group.h"

#include <utility>

namespace predictd {

void TaskGroup::Start(Task<> task) {
  Task<> run = Run(*this, std::move(task));
  {
    MutexLock lock(mutex_);
    ++running_;
  }
  Detach(std::move(run));
}

Task<> TaskGroup::Run(TaskGroup& group, Task<> task) {
  std::exception_ptr exception;
  {
    // The task's frame is freed before anybody learns of its end, because it may refer to what is gone after that.
    Task<> running = std::move(task);
    try {
      co_await running;
    } catch (...) {
      exception = std::current_exception();
    }
  }
  group.End(std::move(exception));
}

// The group may be gone when this returns.
void TaskGroup::End(std::exception_ptr exception) noexcept {
  std::coroutine_handle<> waiter;
  {
    MutexLock lock(mutex_);
    --running_;
    if (!exception_) exception_ = std::move(exception);
    if (waiter_ && running_ < enough_) waiter = std::exchange(waiter_, nullptr);
  }
  if (waiter) waiter.resume();
}

bool TaskGroup::Wait::await_suspend(std::coroutine_handle<> waiter) noexcept {
  MutexLock lock(group_.mutex_);
  if (group_.running_ < enough_) return false;
  group_.waiter_ = waiter;
  group_.enough_ = enough_;
  return true;
}

void TaskGroup::Joining::await_resume() const {
  std::exception_ptr exception;
  {
    MutexLock lock(group_.mutex_);
    exception = std::exchange(group_.exception_, nullptr);
  }
  if (exception) std::rethrow_exception(std::move(exception));
}

}  // namespace predictd
