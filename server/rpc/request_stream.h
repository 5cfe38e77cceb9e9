#ifndef PREDICTD_SERVER_RPC_REQUEST_STREAM_H_
#define PREDICTD_SERVER_RPC_REQUEST_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/async/clock.h"
#include "server/async/send_queue.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/async/timer_heap.h"
#include "server/rpc/call.h"
#include "server/rpc/call_report.h"
#include "server/rpc/loop_hop.h"
#include "server/rpc/peer_connection.h"
#include "server/rpc/served_request.h"
#include "server/rpc/shared_stream_writer.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// One message of a stream of many requests, while it is served. It lives in a frame of its own, beside those of the
// stream's other requests, and one thread uses it at a time. Like a call, it has a deadline, a share of the memory
// budget and a report of its own.
class StreamedRequest final : public ServedRequest {
 public:
  // Begins on the loop, and takes the message that the call has just read.
  explicit StreamedRequest(Call& call);
  ~StreamedRequest();
  StreamedRequest(const StreamedRequest&) = delete;
  StreamedRequest& operator=(const StreamedRequest&) = delete;

  // Requests of one call run on several threads at a time, so of the call each uses only what does not change, and
  // nothing of its report.
  Call& call() { return call_; }
  grpc::ByteBuffer& message() { return message_; }
  // Whether the request may be served: RESOURCE_EXHAUSTED if the message is larger than the method allows, or if
  // callers hold too much already.
  const absl::Status& admitted() const { return admitted_; }

  const RpcEnvironment& environment() const override { return call_.environment(); }
  EventLoop& loop() override { return call_.loop(); }
  CallReport& report() override { return report_; }
  // The stream's. The map was made when the report began, on the loop.
  const ClientMetadata& metadata() override { return call_.metadata(); }
  // Stops when the call does, or when the request's own deadline passes.
  StopSource& stop() override { return stop_; }
  // The earlier one of the call's and the request's own.
  TimePoint deadline() const override { return deadline_; }
  void SetDeadline(TimePoint deadline) override;
  absl::Status Hold(int64_t bytes) override { return call_.HoldMessage(bytes, memory_); }
  void AddTrailer(const std::string& /*name*/, const std::string& /*value*/) override {}

  // Gives back what the request holds, once nothing of it and of its work is left but answers that wait for the reader,
  // which hold their own.
  void LetGo() {
    message_.Clear();
    memory_.GiveAllBack();
  }

  // Says, for the report, how the request ends: with the status that the protocol's own messages tell the caller.
  void set_outcome(grpc::Status outcome) { outcome_ = std::move(outcome); }
  // Writes the report once the handler has ended with `status`.
  void End(const absl::Status& status) noexcept;

  // `co_await request.Leave()` returns where the request may be destroyed.
  class Leaving;
  Leaving Leave();

 private:
  Call& call_;
  grpc::ByteBuffer message_;
  MessageMemory memory_;
  absl::Status admitted_;
  CallReport report_;
  grpc::Status outcome_;
  TimePoint deadline_;
  ChildStopSource stop_;
  // Both are there if the request has a deadline of its own. The timer is the loop's, so it ends there.
  std::optional<LoopHop> back_;
  std::optional<Timer> timer_;
};

class StreamedRequest::Leaving {
 public:
  explicit Leaving(std::optional<LoopHop>& back) : back_(back) {}

  bool await_ready() const noexcept { return !back_.has_value() || back_->await_ready(); }
  void await_suspend(std::coroutine_handle<> waiter) { back_->await_suspend(waiter); }
  void await_resume() const noexcept {}

 private:
  std::optional<LoopHop>& back_;
};

inline StreamedRequest::Leaving StreamedRequest::Leave() {
  return Leaving(back_);
}

// Answers one request, with as many messages as it likes. What is wrong with the request is for the protocol's own
// messages, and for set_outcome. A status that is not OK, or an exception, ends the whole stream with it, and stops its
// other requests.
using RequestHandler = std::function<Task<absl::Status>(StreamedRequest&, SharedStreamWriter&)>;

struct RequestStreamOptions {
  // The most requests of one stream that run at a time; the next message is read when there are fewer.
  int max_running = 64;
  // What may wait for the stream's reader.
  SendWindow window;
};

// A BidiHandler's work for a stream of many requests, each of which is served on its own: reads messages, runs the
// handler for each of them, and ends when the caller has sent everything and all answers are sent, or when the call is
// stopped. A server that drains lets those finish that have begun, reads no more, and ends the stream with UNAVAILABLE.
// `handler` outlives the stream.
Task<absl::Status> ServeRequests(Call& call, StreamWriter& writer, const RequestStreamOptions& options,
                                 const RequestHandler& handler);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_REQUEST_STREAM_H_
