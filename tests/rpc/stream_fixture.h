#ifndef PREDICTD_TESTS_RPC_STREAM_FIXTURE_H_
#define PREDICTD_TESTS_RPC_STREAM_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/async/async_event.h"
#include "server/rpc/peer_connection.h"
#include "server/rpc/request_stream.h"
#include "tests/rpc/transport_fixture.h"

namespace predictd {

// A server with a method of many requests a call, /test.Stream/Many. A message is a verb, a space and a text:
//
//   echo      answers the text
//   work      the same, from a worker
//   hold      answers the text when the test releases it; if it is stopped before, it tries to answer all the same
//   within    the same with a deadline of its own of so many milliseconds, then a space and the text; "late TEXT" is
//   the
//             answer once that has passed
//   far       the same as work, with a deadline of its own that is far away
//   large     answers as many bytes as the text says
//   fail      answers "error: TEXT", as protocols tell of errors of one request, and reports it
//   end       ends the stream with an error, and workend does so on a worker
//   throw     throws, and workthrow does so on a worker
//   peer      answers the name of the connection
//
// An answer that there is no memory for is "no room".
class StreamTest : public TransportTest {
 protected:
  ~StreamTest() override {
    // Its calls use what is here.
    server_.reset();
  }

  void AddMethods(MethodTable& methods) override {
    methods.Add({.service = "test.Stream", .name = "Many", .max_request_bytes = int64_t{1} << 20, .may_idle = true},
                BidiHandler([this](Call& call, StreamWriter& writer) {
                  return ServeRequests(call, writer, options_, handler_);
                }));
  }

  // What the server counts of the connection that the call is on. The call reads nothing else meanwhile.
  std::shared_ptr<PeerConnection> ConnectionOf(RawCall& call) const {
    if (!call.WriteOne("peer ")) return nullptr;
    const std::optional<std::string> peer = call.Read();
    return peer.has_value() ? environment_.connections->Find(*peer) : nullptr;
  }

  // Lets a request that holds go on. Returns false if none of that text does.
  bool Release(const std::string& text) {
    AsyncEvent* event = Forget(text);
    if (event != nullptr) event->Set();
    return event != nullptr;
  }
  int holding() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(held_.size());
  }
  // How many requests were stopped for that reason.
  int stopped(StopReason reason) const {
    const std::lock_guard lock(mutex_);
    const auto found = stops_.find(reason);
    return found == stops_.end() ? 0 : found->second;
  }

  RequestStreamOptions options_{.max_running = 100, .window = {}};
  // How many requests began on another thread than their loop's.
  std::atomic<int> begun_elsewhere_{0};
  // How many requests could still answer after the call was stopped.
  std::atomic<int> answered_late_{0};

 private:
  class OnWorker {
   public:
    explicit OnWorker(WorkerPool& pool) : pool_(pool) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      pool_.RunOn(0, [waiter] { waiter.resume(); });
    }
    void await_resume() const noexcept {}

   private:
    WorkerPool& pool_;
  };

  AsyncEvent* Forget(const std::string& text) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(text);
    if (found == held_.end()) return nullptr;
    AsyncEvent* const event = found->second;
    held_.erase(found);
    return event;
  }

  static Task<absl::Status> Answer(StreamedRequest& request, SharedStreamWriter& writer, StreamTest& test) {
    const Mark mark(test.seen_);
    if (!request.call().loop().OnThread()) ++test.begun_elsewhere_;
    std::string answer;
    if (request.admitted().ok()) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(ToString(request.message()), absl::MaxSplits(' ', 1));
      const auto& [verb, text] = parts;
      if (verb == "end") co_return absl::InvalidArgumentError(text);
      if (verb == "throw") throw std::runtime_error(text);
      if (verb == "far") request.SetDeadline(std::chrono::steady_clock::now() + std::chrono::hours(1));
      if (verb == "work" || verb == "far" || verb == "workend" || verb == "workthrow") {
        OnWorker on_worker(test.pool_);
        co_await on_worker;
      }
      if (verb == "workend") co_return absl::InvalidArgumentError(text);
      if (verb == "workthrow") throw std::runtime_error(text);
      answer = text;
      if (verb == "fail") {
        answer = absl::StrCat("error: ", text);
        request.set_outcome(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, text));
      }
      if (verb == "large") answer = std::string(std::stoul(text), 'x');
      if (verb == "peer") answer = request.call().context().peer();
      if (verb == "hold" || verb == "within") {
        Task<std::string> holding = Hold(request, verb == "within", text, test);
        answer = co_await holding;
      }
    } else {
      SharedStreamWriter::Writing writing = writer.Write(writer.Unheld(ToMessage("refused")));
      co_await writing;
      co_return absl::OkStatus();
    }
    const bool late = request.call().stop().stopped();
    absl::StatusOr<OutgoingMessage> held = writer.Hold(ToMessage(answer));
    SharedStreamWriter::Writing writing =
        writer.Write(held.ok() ? *std::move(held) : writer.Unheld(ToMessage("no room")));
    if (co_await writing && late) ++test.answered_late_;
    co_return absl::OkStatus();
  }

  static Task<std::string> Hold(StreamedRequest& request, bool within, std::string text, StreamTest& test) {
    if (within) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(' ', 1));
      request.SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(std::stol(parts.first)));
      text = parts.second;
    }
    AsyncEvent event;
    {
      const std::lock_guard lock(test.mutex_);
      test.held_[text] = &event;
    }
    const StopCallback callback(request.stop(), [&event] { event.Set(); });
    co_await event.Wait();
    if (!request.stop().stopped()) co_return text;
    test.Forget(text);
    const std::lock_guard lock(test.mutex_);
    ++test.stops_[request.stop().reason()];
    co_return absl::StrCat("late ", text);
  }

  const RequestHandler handler_ = [this](StreamedRequest& request, SharedStreamWriter& writer) {
    return Answer(request, writer, *this);
  };
  mutable std::mutex mutex_;
  std::map<std::string, AsyncEvent*> held_;
  std::map<StopReason, int> stops_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_RPC_STREAM_FIXTURE_H_
