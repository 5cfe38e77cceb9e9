#ifndef PREDICTD_SERVER_RPC_CALL_REPORT_H_
#define PREDICTD_SERVER_RPC_CALL_REPORT_H_

#include <grpcpp/grpcpp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/rpc/environment.h"
#include "server/rpc/method.h"
#include "server/telemetry/field.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// The names of a part of a call's time, or of a figure of a call, in the Server-Timing header and in the log. Both are
// literals.
struct ReportKey {
  std::string_view header;
  std::string_view log;
};

// What a call, or a message of a stream of many requests, leaves behind: its span, its metrics, its log line, and a
// call's timings in its trailers. It knows no kind of work: handlers say by ReportKey where the time went. It belongs
// to a Call or a StreamedRequest and is used by the thread that that is on.
class CallReport {
 public:
  CallReport(const RpcEnvironment& environment, grpc::ServerContext& context)
      : environment_(environment), context_(context) {}

  // Sets the model that the call is about.
  void SetModel(std::shared_ptr<CallSubject> model, int64_t version);
  // Empty if the call named no known model.
  std::string_view model() const { return subject_ == nullptr ? std::string_view() : subject_->name(); }
  void SetRequestId(std::string request_id) { request_id_ = std::move(request_id); }

  // Adds to the time of that part. There may be at most kParts different parts. `description` is a literal that the
  // header shows beside the time.
  void AddTime(const ReportKey& key, Duration duration, std::string_view description = {});
  // Reports the largest value that is given for that figure. There may be at most kFigures different figures.
  void RaiseFigure(const ReportKey& key, int64_t value);
  // Adds a child span if the call is traced. A stream has many, and only the first ones are kept: they tell enough.
  void AddPhase(std::string_view name, TimePoint started, TimePoint ended, absl::Span<const Field> fields = {});
  // Null if the call is not traced.
  CallSpan* span() { return span_.get(); }

  // These are called in this order. Begin decides whether the call is traced. Close adds the trailers; it is left out
  // if nothing is sent, and for messages. End writes the span, the metrics and the log line.
  void Begin(const Method& method, TimePoint arrived);
  // Begins the report of a message of the call that `stream` is of, on the call's loop. The message is traced as a call
  // would be that the stream had made. `stream` outlives this object.
  void BeginMessage(CallReport& stream, TimePoint arrived);
  void Close(TimePoint closed);
  void End(const grpc::Status& status, StopReason stop, TimePoint ended);

 private:
  static constexpr size_t kParts = 6;
  static constexpr size_t kFigures = 2;

  struct Part {
    ReportKey key;
    Duration duration{};
    std::string_view description;
  };
  struct Figure {
    ReportKey key;
    int64_t value = 0;
  };

  std::unique_ptr<CallSpan> StartSpan(std::string_view traceparent) const;
  std::string ServerTiming() const;
  void EndSpan(int code, const grpc::Status& status, StopReason stop, TimePoint ended);
  // Returns whether the call gets a line in the log. It counts against a limit, so it is asked once for each call.
  bool Logged(int code) const;
  void LogLine(int code, const grpc::Status& status, TimePoint ended) const;

  const RpcEnvironment& environment_;
  grpc::ServerContext& context_;
  const Method* method_ = nullptr;
  const MethodMetrics* metrics_ = nullptr;
  // What ties messages to the trace of their stream, which has the text.
  std::string stream_traceparent_;
  std::string_view traceparent_;
  bool message_ = false;
  TimePoint arrived_;
  TimePoint closed_;
  std::unique_ptr<CallSpan> span_;
  // Null if the call named no known model.
  std::shared_ptr<CallSubject> subject_;
  int64_t version_ = 0;
  std::string request_id_;
  // Both are filled in the order in which the keys came; an entry in use has a key.
  std::array<Part, kParts> parts_;
  std::array<Figure, kFigures> figures_;
  int phases_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CALL_REPORT_H_
