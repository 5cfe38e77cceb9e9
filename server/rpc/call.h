#ifndef PREDICTD_SERVER_RPC_CALL_H_
#define PREDICTD_SERVER_RPC_CALL_H_

#include <grpcpp/grpcpp.h>

#include <coroutine>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/async/timer_heap.h"
#include "server/engine/catalog.h"
#include "server/engine/inference.h"
#include "server/generation/generation.h"
#include "server/rpc/environment.h"
#include "server/rpc/event_loop.h"
#include "server/rpc/method.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// One RPC, whatever its kind: its context, its deadline, its stop source, and what it reports (span, metrics, log line,
// trailers). Lives in the frame of the coroutine that serves it, on the event loop that accepted it. Used by one thread
// at a time: the loop or the worker that the coroutine is on; stop() by any.
class Call {
 public:
  Call(EventLoop& loop, RpcEnvironment& environment, const Method& method);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::ServerContext& context() { return context_; }
  EventLoop& loop() { return loop_; }
  const RpcEnvironment& environment() const { return environment_; }
  const Method& method() const { return method_; }

  // Stops when the caller cancels or disconnects, the deadline passes, or the server's grace period is over.
  StopSource& stop() { return stop_; }
  // The call's own, within the server's limits.
  TimePoint deadline() const { return deadline_; }

  // For the handler: what the call is about, for reports.
  void SetModel(const ServedModel* model, int64_t version);
  void SetRequestId(std::string request_id) { request_id_ = std::move(request_id); }
  // For the handler: where the time went. A stream adds many inferences.
  void AddDecode(TimePoint started, TimePoint ended);
  void AddInference(const InferenceTimings& timings);
  // For the handler: what a generator did for it, and the tokens of the prompt.
  void AddGeneration(const GenerationTimings& timings, int64_t prompt_tokens);
  // For the handler: what asking the response cache came to ("hit", "miss", "bypass"), and the age of a hit.
  void AddCacheLookup(std::string_view outcome, TimePoint started, TimePoint ended);
  void SetAge(Duration age);

  // For whoever serves the call, in this order. Begin: it has arrived (on the loop). CloseWith: the handler is through;
  // adds trailers and returns what to finish with. `co_await Done()`: no tag is out any more. End: reports (on the
  // loop).
  void Begin();
  grpc::Status CloseWith(const absl::Status& status);
  void End();

  // gRPC's notice that the call is over, cancelled or finished.
  class DoneTag final : public CompletionTag {
   public:
    explicit DoneTag(Call& call) : call_(call) {}
    DoneTag(const DoneTag&) = delete;
    DoneTag& operator=(const DoneTag&) = delete;
    void Complete(bool ok) override;

    // Not the tag itself: GCC 12 awaits a copy of what a function returns by reference.
    struct Awaiter {
      DoneTag& tag;
      bool await_ready() const noexcept { return tag.arrived_; }
      void await_suspend(std::coroutine_handle<> waiter) { tag.waiter_ = waiter; }
      void await_resume() const noexcept {}
    };

   private:
    Call& call_;
    bool arrived_ = false;
    std::coroutine_handle<> waiter_;
  };
  DoneTag::Awaiter Done() { return {done_}; }

 private:
  TimePoint ChooseDeadline() const;
  std::string ServerTiming() const;

  EventLoop& loop_;
  RpcEnvironment& environment_;
  const Method& method_;
  grpc::ServerContext context_;
  StopSource stop_;
  DoneTag done_;
  Timer deadline_timer_;

  bool begun_ = false;
  TimePoint arrived_;
  TimePoint deadline_ = kNever;
  TimePoint closed_;
  std::unique_ptr<CallSpan> span_;
  const ServedModel* model_ = nullptr;
  int64_t version_ = 0;
  std::string request_id_;
  grpc::Status status_;

  Duration decode_{};
  Duration cache_{};
  // Empty: the model has no cache.
  std::string_view cache_outcome_;
  Duration queue_{};
  Duration forward_{};
  int64_t batch_rows_ = 0;
  int64_t inferences_ = 0;
  // Of a generator.
  Duration prefill_{};
  Duration generate_{};
  int64_t generated_tokens_ = -1;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CALL_H_
