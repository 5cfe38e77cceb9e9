#ifndef PREDICTD_SERVER_ASYNC_TASK_GROUP_H_
#define PREDICTD_SERVER_ASYNC_TASK_GROUP_H_

#include <coroutine>
#include <exception>

#include "server/async/mutex.h"
#include "server/async/task.h"

namespace predictd {

// Runs tasks beside each other, and tells one coroutine when they have ended. It lives in the frame of that coroutine,
// which awaits Join before it ends, whatever happens: the tasks may refer to what else is in the frame.
//
// A task begins on the thread that starts it, and may end on any thread; what waits for it goes on there. One coroutine
// starts tasks and waits, one wait at a time.
class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Runs the task up to its first suspension. If there is no memory for that, std::bad_alloc is thrown and the task has
  // not begun.
  void Start(Task<> task);

  class Wait;
  // `co_await group.FewerThan(n)` returns once fewer than `n` tasks run.
  Wait FewerThan(int n);

  class Joining;
  // `co_await group.Join()` returns once all tasks have ended. If some have ended with an exception, it throws the
  // first one. It needs no memory.
  Joining Join();

 private:
  static Task<> Run(TaskGroup& group, Task<> task);
  void End(std::exception_ptr exception) noexcept;

  Mutex mutex_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::exception_ptr exception_ ABSL_GUARDED_BY(mutex_);
  std::coroutine_handle<> waiter_ ABSL_GUARDED_BY(mutex_);
  // The waiter goes on once fewer tasks run.
  int enough_ ABSL_GUARDED_BY(mutex_) = 0;
};

class TaskGroup::Wait {
 public:
  Wait(TaskGroup& group, int enough) : group_(group), enough_(enough) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) noexcept;
  void await_resume() const noexcept {}

 protected:
  TaskGroup& group_;

 private:
  const int enough_;
};

class TaskGroup::Joining : public Wait {
 public:
  explicit Joining(TaskGroup& group) : Wait(group, 1) {}
  void await_resume() const;
};

inline TaskGroup::Wait TaskGroup::FewerThan(int n) {
  return {*this, n};
}

inline TaskGroup::Joining TaskGroup::Join() {
  return Joining(*this);
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_TASK_GROUP_H_
