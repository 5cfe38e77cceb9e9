#ifndef PREDICTD_SERVER_RPC_CALL_H_
#define PREDICTD_SERVER_RPC_CALL_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <coroutine>
#include <utility>

#include "absl/status/status.h"
#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/async/timer_heap.h"
#include "server/rpc/call_report.h"
#include "server/rpc/environment.h"
#include "server/rpc/event_loop.h"
#include "server/rpc/memory_budget.h"
#include "server/rpc/method.h"
#include "server/rpc/operation.h"
#include "server/rpc/peer_connection.h"
#include "server/rpc/peer_watch.h"

namespace predictd {

// One RPC, whatever its kind: its context and transport, its deadline, its stop source, what it holds of the memory
// budget, and its report. Lives in the frame of the coroutine that serves it, on the event loop that accepted it. Used
// by one thread at a time: the loop or the worker that the coroutine is on; stop() by any.
//
// Whatever waits for the other end is watched: a message that does not arrive, an answer or a status that is not taken.
class Call : public CallLink {
 public:
  Call(EventLoop& loop, RpcEnvironment& environment);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::GenericServerContext& context() { return context_; }
  grpc::GenericServerAsyncReaderWriter& transport() { return transport_; }
  const RpcEnvironment& environment() const { return environment_; }
  const Method& method() const { return *method_; }
  CallReport& report() { return report_; }

  // Stops when the caller cancels or disconnects, keeps the call waiting for too long, the deadline passes, or the
  // server's grace period is over.
  StopSource& stop() { return stop_; }
  // The call's own, within the server's limits.
  TimePoint deadline() const { return deadline_; }

  // `co_await call.Read()`, on the loop: whether another message has come, which is then in message(). False also if
  // the call was stopped meanwhile.
  class Reading;
  Reading Read();
  grpc::ByteBuffer& message() { return message_; }
  // RESOURCE_EXHAUSTED if the message is larger than the method's may be.
  absl::Status CheckMessageSize() const;

  // `co_await call.Send(bytes, start)`: starts an operation that sends so many bytes, with a tag, and waits until the
  // transport has taken them; whether it has. From any thread; continues on the loop.
  template <class Start>
  class Sending;
  template <class Start>
  Sending<Start> Send(int64_t bytes, Start start);

  // Makes the call hold so many bytes more until it ends. RESOURCE_EXHAUSTED if all callers together hold too much.
  absl::Status Hold(int64_t bytes);

  // For whoever serves the call, in this order. Begin, on the loop: it has arrived; the status says whether it may go
  // on. CloseWith: the handler is through; adds trailers and returns what to finish with. `co_await Over()`: no tag is
  // out any more, the loop has it. End: reports; `sent` is whether the status was.
  absl::Status Begin(const Method& method);
  const grpc::Status& CloseWith(const absl::Status& status) noexcept;
  struct Ending;
  Ending Over();
  void End(bool sent) noexcept;

  // Requests a stop, on the loop, and sees to it that the other end cannot hold it up.
  void Stop(StopReason reason);
  // The same for a call of that connection that waits for a message.
  void StopReadingFrom(const PeerConnection& connection, StopReason reason);

 private:
  // Tells the call that a tag of its own has arrived.
  template <void (Call::*OnArrival)(bool ok)>
  class OwnTag final : public CompletionTag {
   public:
    explicit OwnTag(Call& call) : call_(call) {}
    void Complete(bool ok) override { (call_.*OnArrival)(ok); }

   private:
    Call& call_;
  };

  TimePoint ChooseDeadline(TimePoint arrived) const;
  // Whether the server takes the call.
  absl::Status Admit();
  // Looks whether time is up, for the call or for the other end.
  void Look();
  // gRPC's notice that the call is over, cancelled or finished.
  void OnDone(bool ok);
  void OnRead(bool ok);
  void StopReading();
  void TagArrived();
  // Why the call was stopped from outside.
  StopReason Ended() const;

  EventLoop& loop_;
  RpcEnvironment& environment_;
  const Method* method_ = nullptr;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter transport_{&context_};
  grpc::ByteBuffer message_;
  CallReport report_;
  MemoryShare memory_;
  ConnectionUse connection_;
  StopSource stop_;
  PeerWatch peer_;
  Timer timer_;
  TimePoint deadline_ = kNever;
  grpc::Status status_;

  OwnTag<&Call::OnDone> done_tag_{*this};
  OwnTag<&Call::OnRead> read_tag_{*this};
  // Of these two, how many are out.
  int tags_out_ = 1;
  bool read_ok_ = false;
  // The server did not take the call.
  bool refused_ = false;
  // Why a stream was cut off whose own work had ended.
  StopReason cut_ = StopReason::kCancelled;
  // The last message that was to be read has not come.
  bool unsent_ = false;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> ending_;
};

// The awaitable of Call::Read. The tag belongs to the call, as it may be out longer than anybody waits for it.
class Call::Reading {
 public:
  explicit Reading(Call& call) : call_(call) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  bool await_ready() const noexcept { return call_.stop_.stopped(); }
  void await_suspend(std::coroutine_handle<> waiter);
  bool await_resume() const noexcept { return std::exchange(call_.read_ok_, false); }

 private:
  Call& call_;
};

inline Call::Reading Call::Read() {
  return Reading(*this);
}

// The awaitable of Call::Send.
template <class Start>
class Call::Sending final : public Operation<Start> {
 public:
  Sending(Call& call, int64_t bytes, Start start) : Operation<Start>(std::move(start)), call_(call), bytes_(bytes) {}

  void await_suspend(std::coroutine_handle<> waiter) {
    call_.peer_.Begin(PeerWatch::For::kReader, call_.loop_.OwnTime(), bytes_);
    Operation<Start>::await_suspend(waiter);
  }
  void Complete(bool ok) override {
    call_.peer_.EndSending(call_.loop_.OwnTime(), bytes_);
    Operation<Start>::Complete(ok);
  }

 private:
  Call& call_;
  const int64_t bytes_;
};

template <class Start>
Call::Sending<Start> Call::Send(int64_t bytes, Start start) {
  return Sending<Start>(*this, bytes, std::move(start));
}

struct Call::Ending {
  Call& call;
  bool await_ready() const noexcept { return call.tags_out_ == 0; }
  void await_suspend(std::coroutine_handle<> waiter) { call.ending_ = waiter; }
  void await_resume() const noexcept {}
};

inline Call::Ending Call::Over() {
  return {*this};
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CALL_H_
