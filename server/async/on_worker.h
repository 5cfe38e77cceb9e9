#ifndef PREDICTD_SERVER_ASYNC_ON_WORKER_H_
#define PREDICTD_SERVER_ASYNC_ON_WORKER_H_

#include <coroutine>
#include <memory>

#include "server/async/worker_pool.h"

namespace predictd {

// `co_await OnWorker(scheduler)`: the coroutine goes on as a step of a worker. For what would hold up an event loop.
class OnWorker {
 public:
  explicit OnWorker(WorkScheduler& scheduler) : scheduler_(scheduler) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { scheduler_.Ready(std::make_shared<Resumption>(waiter)); }
  void await_resume() const noexcept {}

 private:
  class Resumption final : public WorkSource {
   public:
    explicit Resumption(std::coroutine_handle<> waiter) : waiter_(waiter) {}
    void RunStep() override { waiter_.resume(); }

   private:
    const std::coroutine_handle<> waiter_;
  };

  WorkScheduler& scheduler_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_ON_WORKER_H_
