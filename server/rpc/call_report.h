#ifndef PREDICTD_SERVER_RPC_CALL_REPORT_H_
#define PREDICTD_SERVER_RPC_CALL_REPORT_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <string_view>

#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/engine/catalog.h"
#include "server/engine/inference.h"
#include "server/generation/generation.h"
#include "server/rpc/environment.h"
#include "server/rpc/method.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// What a call leaves behind: its span, its metrics, its log line, and the timings in its trailers. Belongs to a Call
// and is used by the thread that the call is on.
class CallReport {
 public:
  CallReport(const RpcEnvironment& environment, grpc::ServerContext& context)
      : environment_(environment), context_(context) {}

  // What the call is about.
  void SetModel(const ServedModel* model, int64_t version);
  // Empty if it named no known model.
  std::string_view model() const { return model_ == nullptr ? std::string_view() : std::string_view(model_->name()); }
  void SetRequestId(std::string request_id) { request_id_ = std::move(request_id); }

  // Where the time went. A stream adds many inferences.
  void AddDecode(TimePoint started, TimePoint ended);
  void AddInference(const InferenceTimings& timings);
  // What a generator did for it, and the tokens of the prompt.
  void AddGeneration(const GenerationTimings& timings, int64_t prompt_tokens);
  // What asking the response cache came to ("hit", "miss", "bypass"), and the age of a hit.
  void AddCacheLookup(std::string_view outcome, TimePoint started, TimePoint ended);
  void SetAge(Duration age);

  // In this order. Begin decides whether the call is traced. Close adds the trailers. End writes it all down.
  void Begin(const Method& method, TimePoint arrived);
  void Close(TimePoint closed);
  void End(const grpc::Status& status, StopReason stop, TimePoint ended);

 private:
  std::string ServerTiming() const;
  void EndSpan(int code, const grpc::Status& status, StopReason stop, TimePoint ended);
  // Whether the call has a line in the log. To be asked once.
  bool Logged(int code) const;
  void LogLine(int code, const grpc::Status& status, TimePoint ended) const;

  const RpcEnvironment& environment_;
  grpc::ServerContext& context_;
  const Method* method_ = nullptr;
  TimePoint arrived_;
  TimePoint closed_;
  std::unique_ptr<CallSpan> span_;
  const ServedModel* model_ = nullptr;
  int64_t version_ = 0;
  std::string request_id_;

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

#endif  // PREDICTD_SERVER_RPC_CALL_REPORT_H_
