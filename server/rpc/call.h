#ifndef PREDICTD_SERVER_RPC_CALL_H_
#define PREDICTD_SERVER_RPC_CALL_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <coroutine>
#include <string>
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
#include "server/rpc/served_request.h"

namespace predictd {

// One RPC of any kind. It holds the call's context and transport, its deadline, its stop source, its share of the
// memory budget, and its report. It lives in the frame of the coroutine that serves it, on the event loop that accepted
// it. One thread uses it at a time: the loop, or the worker that the coroutine runs on. Any thread may call stop(). A
// call with many requests may read on the loop while a message is sent.
//
// Every wait for the peer is watched: a wait for a message that does not arrive, and a wait for the peer to take an
// answer or a status.
class Call final : public CallLink, public ServedRequest {
 public:
  Call(EventLoop& loop, RpcEnvironment& environment);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::GenericServerContext& context() { return context_; }
  grpc::GenericServerAsyncReaderWriter& transport() { return transport_; }
  const RpcEnvironment& environment() const override { return environment_; }
  const Method& method() const { return *method_; }
  CallReport& report() override { return report_; }
  const ClientMetadata& metadata() override { return context_.client_metadata(); }

  // The source stops when the caller cancels or disconnects, when the peer keeps the call waiting for too long, when
  // the deadline passes, or when the server's grace period is over.
  StopSource& stop() override { return stop_; }
  // The caller's deadline, within the server's limits, less the time that the answer needs to arrive before it.
  TimePoint deadline() const override { return deadline_; }
  void SetDeadline(TimePoint deadline) override;

  EventLoop& loop() override { return loop_; }

  // `co_await call.Read()`, on the loop, returns whether another message has arrived, which is then in message(). It
  // also returns false if the call was stopped meanwhile, or reading was ended. One coroutine reads.
  class Reading;
  Reading Read();
  // Makes reading end, on the loop: a Read that waits returns false, as all later ones do. The call goes on.
  void EndReading();
  // Why Read has returned false: OK if the caller has sent everything or EndReading was called, otherwise the status
  // that the stream ends with once its work is done. On the loop.
  absl::Status ReadingEnded() const;
  grpc::ByteBuffer& message() { return message_; }
  // Returns RESOURCE_EXHAUSTED if a message of `bytes` bytes, or the one that has arrived, is larger than the method
  // allows.
  absl::Status CheckMessageSize(int64_t bytes) const;
  absl::Status CheckMessageSize() const { return CheckMessageSize(static_cast<int64_t>(message_.Length())); }

  // `co_await call.Send(bytes, start)` calls `start` with a tag to start an operation that sends `bytes` bytes, waits
  // until the transport has taken them, and returns whether it has. Any thread may call it; the coroutine continues on
  // the loop.
  template <class Start>
  class Sending;
  template <class Start>
  Sending<Start> Send(int64_t bytes, Start start);

  absl::Status Hold(int64_t bytes) override;
  // The same for one message of a stream, on any thread: the bytes are held until `memory` is destroyed, which comes
  // from MemoryForMessage and does not outlive the call.
  absl::Status HoldMessage(int64_t bytes, MessageMemory& memory) const;
  MessageMemory MemoryForMessage() const { return {environment_.memory, connection_.connection()}; }
  void AddTrailer(const std::string& name, const std::string& value) override {
    context_.AddTrailingMetadata(name, value);
  }

  // These two are for who serves the messages of a stream. The first says, on the loop, whether messages have to wait
  // because the server does not read them; the second, on any thread, that one was answered, or that its caller has
  // given it up before.
  void PauseReading(bool paused) { connection_.Pause(paused); }
  void OnMessageServed(bool given_up) const { connection_.OnMessageServed(given_up); }

  // These four are for the code that serves the call, which calls them in this order. Begin, on the loop, says that the
  // call has arrived; its status says whether the call may go on. CloseWith says that the handler is done; it adds the
  // trailers and returns the status to finish with. `co_await Over()` waits until gRPC holds no tag of the call any
  // more, and continues on the loop. End writes the report; `sent` says whether the status was sent.
  absl::Status Begin(const Method& method);
  const grpc::Status& CloseWith(const absl::Status& status) noexcept;
  struct Ending;
  Ending Over();
  // To be asked on the loop, before CloseWith. If it is true, the caller went away before its message had arrived and
  // gRPC has said so, and CloseWith is left out: nothing that is sent would reach anybody.
  bool abandoned() const { return unsent_ && gone_; }
  void End(bool sent) noexcept;

  // Requests a stop, on the loop, and makes sure that the peer cannot delay it.
  void Stop(StopReason reason);
  // Says, on the loop, that the server drains. A call with many requests gets no more of them and goes on with those
  // that it has.
  void Drain();
  // Stops the call, on the loop, if it belongs to that connection and waits for a message.
  void StopReadingFrom(const PeerConnection& connection, StopReason reason);

 private:
  // A tag that is a part of the call and tells the call that it has arrived.
  template <void (Call::*OnArrival)(bool ok)>
  class OwnTag final : public CompletionTag {
   public:
    explicit OwnTag(Call& call) : call_(call) {}
    void Complete(bool ok) override { (call_.*OnArrival)(ok); }

   private:
    Call& call_;
  };

  TimePoint ChooseDeadline(TimePoint arrived) const;
  // Returns whether the server takes the call.
  absl::Status Admit();
  // Makes `share` hold `bytes` more, if that is within the limits of all calls and of those of the connection.
  template <class Connection>
  absl::Status TakeMemory(int64_t bytes, MemoryShare& share, Connection& connection) const;
  // Checks whether the deadline has passed or the peer has used up its time.
  void Look();
  // Handles gRPC's notice that the call is over, whether it was cancelled or finished.
  void OnDone(bool ok);
  void OnRead(bool ok);
  void StopReading();
  void TagArrived();
  // Returns why the call was stopped from outside.
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
  // When it was decided how the call ends.
  TimePoint closed_;
  grpc::Status status_;

  OwnTag<&Call::OnDone> done_tag_{*this};
  OwnTag<&Call::OnRead> read_tag_{*this};
  // How many of these two tags gRPC holds.
  int tags_out_ = 1;
  bool read_ok_ = false;
  // Whether the server did not take the call.
  bool refused_ = false;
  // Why a stream was cut off whose own work had ended.
  StopReason cut_ = StopReason::kCancelled;
  // Whether the first message was to be read and has not arrived.
  bool unsent_ = false;
  bool received_ = false;
  // Whether the caller has said that no message follows, or has gone.
  bool half_closed_ = false;
  // Whether nothing more is to be read, and whether that is because the server drains.
  bool reading_over_ = false;
  bool draining_ = false;
  // Whether the peer has ended the call.
  bool gone_ = false;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> ending_;
};

// The awaitable of Call::Read. Its tag belongs to the call, because gRPC may hold it for longer than anybody waits for
// it.
class Call::Reading {
 public:
  explicit Reading(Call& call) : call_(call) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  bool await_ready() const noexcept { return call_.stop_.stopped() || call_.reading_over_; }
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
    call_.peer_.BeginSending(call_.loop_.OwnTime(), bytes_);
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
