#ifndef PREDICTD_SERVER_RPC_OPERATION_H_
#define PREDICTD_SERVER_RPC_OPERATION_H_

#include <coroutine>
#include <utility>

#include "server/rpc/event_loop.h"

namespace predictd {

// An operation on a completion queue as an awaitable: `bool ok = co_await Operation([&](void* tag) { writer.Write(m,
// tag); })`. Any thread may start it; the coroutine resumes on the loop's thread. The tag lies in the coroutine's
// frame, so the frame must not be destroyed while the coroutine is suspended. gRPC delivers every tag, with ok=false if
// the call is dead.
template <class Start>
class Operation : public CompletionTag {
 public:
  explicit Operation(Start start) : start_(std::move(start)) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    // This is a local variable because, once the operation has started, the loop may resume the coroutine, and with it
    // destroy this object, before start() returns.
    Start start = std::move(start_);
    start(static_cast<void*>(static_cast<CompletionTag*>(this)));
  }
  bool await_resume() const noexcept { return ok_; }

  void Complete(bool ok) override {
    ok_ = ok;
    waiter_.resume();
  }

 private:
  Start start_;
  std::coroutine_handle<> waiter_;
  bool ok_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_OPERATION_H_
