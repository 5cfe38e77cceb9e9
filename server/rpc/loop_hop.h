#ifndef PREDICTD_SERVER_RPC_LOOP_HOP_H_
#define PREDICTD_SERVER_RPC_LOOP_HOP_H_

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>

#include <coroutine>

#include "server/rpc/event_loop.h"

namespace predictd {

// `co_await hop` makes the coroutine go on on the loop's thread; if it is there already, at once. Making the hop takes
// memory, awaiting it does not.
class LoopHop final : public CompletionTag {
 public:
  explicit LoopHop(EventLoop& loop) : loop_(loop) {}
  LoopHop(const LoopHop&) = delete;
  LoopHop& operator=(const LoopHop&) = delete;

  bool await_ready() const noexcept { return loop_.OnThread(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    alarm_.Set(loop_.queue(), gpr_time_0(GPR_CLOCK_MONOTONIC), static_cast<CompletionTag*>(this));
  }
  void await_resume() const noexcept {}

  void Complete(bool /*ok*/) override { waiter_.resume(); }

 private:
  EventLoop& loop_;
  grpc::Alarm alarm_;
  std::coroutine_handle<> waiter_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LOOP_HOP_H_
