#include "server/rpc/call_report.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "server/telemetry/log.h"
#include "server/telemetry/traceparent.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

// One of decoding, and two of each of a stream's first chunks.
constexpr int kMaxPhases = 1 + 2 * 32;

double Milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// Appends a duration as in the Server-Timing header, whose unit is milliseconds. It does so by hand, because formatting
// floating-point numbers would cost more than the rest of the trailers.
void AppendDuration(Duration duration, std::string& out) {
  const int64_t micros = std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
  char digits[24];
  // The thousandths keep their leading zeros because they stand behind a 1, which then becomes the point.
  char* const point = std::to_chars(digits, std::end(digits), micros / 1000).ptr;
  const char* const end = std::to_chars(point, std::end(digits), 1000 + micros % 1000).ptr;
  *point = '.';
  out.append(";dur=").append(digits, static_cast<size_t>(end - digits));
}

std::string_view Header(const grpc::ServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

}  // namespace

void CallReport::Begin(const Method& method, TimePoint arrived) {
  method_ = &method;
  metrics_ = &method.metrics();
  arrived_ = arrived;
  // Looking for headers is what costs: gRPC builds a map of all of them.
  if (environment_.tracer->enabled()) span_ = StartSpan(Header(context_, "traceparent"));
}

void CallReport::BeginMessage(CallReport& stream, TimePoint arrived) {
  method_ = stream.method_;
  metrics_ = &method_->message_metrics();
  message_ = true;
  arrived_ = arrived;
  // The map of headers may be built on one thread only, and messages end on any.
  if (stream.stream_traceparent_.empty()) {
    stream.stream_traceparent_ =
        stream.span_ ? stream.span_->traceparent() : std::string(Header(context_, "traceparent"));
  }
  traceparent_ = stream.stream_traceparent_;
  if (environment_.tracer->enabled()) span_ = StartSpan(traceparent_);
}

std::unique_ptr<CallSpan> CallReport::StartSpan(std::string_view traceparent) const {
  return environment_.tracer->StartCall({.rpc_service = method_->service(),
                                         .rpc_method = method_->name(),
                                         .peer = [this] { return context_.peer(); },
                                         .traceparent = traceparent,
                                         .tracestate = Header(context_, "tracestate"),
                                         .system_time = system_clock::now(),
                                         .steady_time = arrived_});
}

void CallReport::SetModel(std::shared_ptr<CallSubject> model, int64_t version) {
  subject_ = std::move(model);
  version_ = version;
}

void CallReport::AddTime(const ReportKey& key, Duration duration, std::string_view description) {
  for (Part& part : parts_) {
    if (part.key.header.empty()) part.key = key;
    if (part.key.header != key.header) continue;
    part.duration += duration;
    if (!description.empty()) part.description = description;
    return;
  }
}

void CallReport::RaiseFigure(const ReportKey& key, int64_t value) {
  for (Figure& figure : figures_) {
    if (figure.key.header.empty()) figure.key = key;
    if (figure.key.header != key.header) continue;
    figure.value = std::max(figure.value, value);
    return;
  }
}

void CallReport::AddPhase(std::string_view name, TimePoint started, TimePoint ended, absl::Span<const Field> fields) {
  if (span_ && phases_++ < kMaxPhases) span_->AddPhase(name, started, ended, fields);
}

std::string CallReport::ServerTiming() const {
  std::string timing;
  timing.reserve(112);
  for (const Part& part : parts_) {
    if (part.key.header.empty()) break;
    timing.append(part.key.header);
    if (!part.description.empty()) timing.append(";desc=\"").append(part.description).append("\"");
    AppendDuration(part.duration, timing);
    timing.append(", ");
  }
  timing.append("total");
  AppendDuration(closed_ - arrived_, timing);
  for (const Figure& figure : figures_) {
    if (figure.key.header.empty()) break;
    timing.append(", ").append(figure.key.header);
    absl::StrAppend(&timing, ";desc=\"", figure.value, "\"");
  }
  return timing;
}

void CallReport::Close(TimePoint closed) {
  closed_ = closed;
  if (environment_.server_timing) context_.AddTrailingMetadata("server-timing", ServerTiming());
}

void CallReport::End(const grpc::Status& status, StopReason stop, TimePoint ended) {
  const int code = std::clamp(static_cast<int>(status.error_code()), 0, 16);
  CallSubject& subject = subject_ == nullptr ? *environment_.metrics->calls().nothing() : *subject_;
  subject.OnEnded(*metrics_, code, ended - arrived_);
  if (span_) EndSpan(code, status, stop, ended);
  if (Logged(code)) LogLine(code, status, ended);
}

bool CallReport::Logged(int code) const {
  if (!LogEnabled(LogLevel::kInfo) || environment_.log_requests == LogRequests::kNone) return false;
  if (environment_.log_requests == LogRequests::kAll) return true;
  const absl::string_view name = CodeName(code);
  return code != 0 && AdmitFailure(LogLevel::kInfo, model(), {name.data(), name.size()});
}

void CallReport::EndSpan(int code, const grpc::Status& status, StopReason stop, TimePoint ended) {
  span_->SetAttribute("predictd.model.name", model());
  span_->SetAttribute("predictd.model.version", version_);
  if (!request_id_.empty()) span_->SetAttribute("predictd.request_id", request_id_);
  if (stop == StopReason::kDeadline) span_->AddEvent("deadline exceeded");
  if (stop == StopReason::kCancelled) span_->AddEvent("cancelled by the caller");
  if (closed_ != TimePoint()) span_->AddPhase("respond", closed_, ended);
  span_->End(code, status.error_message());
}

void CallReport::LogLine(int code, const grpc::Status& status, TimePoint ended) const {
  std::string_view trace_id;
  const auto parent =
      span_ ? std::nullopt : ParseTraceparent(message_ ? traceparent_ : Header(context_, "traceparent"));
  if (span_) {
    trace_id = span_->trace_id();
  } else if (parent) {
    trace_id = parent->trace_id;
  }
  const absl::string_view name = CodeName(code);
  const std::string peer = context_.peer();
  absl::InlinedVector<Field, 9 + kParts + kFigures> fields = {{"method", metrics_->name()},
                                                              {"model", model()},
                                                              {"version", version_},
                                                              {"code", std::string_view(name.data(), name.size())},
                                                              {"message", status.error_message()},
                                                              {"request_id", request_id_},
                                                              {"trace_id", trace_id},
                                                              {"peer", peer},
                                                              {"total_ms", Milliseconds(ended - arrived_)}};
  for (const Part& part : parts_) {
    if (!part.key.log.empty()) fields.push_back({part.key.log, Milliseconds(part.duration)});
  }
  for (const Figure& figure : figures_) {
    if (!figure.key.log.empty()) fields.push_back({figure.key.log, figure.value});
  }
  Log(LogLevel::kInfo, "request", fields);
}

}  // namespace predictd
