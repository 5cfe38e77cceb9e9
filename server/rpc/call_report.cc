#include "server/rpc/call_report.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/telemetry/log.h"
#include "server/telemetry/traceparent.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

// Every run of a stream's chunks would be two spans; the first ones tell the story.
constexpr int64_t kMaxTracedInferences = 32;

double Milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// A metric of the Server-Timing header, whose unit is milliseconds. By hand, because formatting floating-point numbers
// would cost more than the rest of the trailers.
void AppendMetric(std::string_view name, Duration duration, std::string& out) {
  const int64_t micros = std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
  char digits[24];
  // The thousandths keep their leading zeros behind a 1 that becomes the point.
  char* const point = std::to_chars(digits, std::end(digits), micros / 1000).ptr;
  const char* const end = std::to_chars(point, std::end(digits), 1000 + micros % 1000).ptr;
  *point = '.';
  out.append(name).append(";dur=").append(digits, static_cast<size_t>(end - digits));
}

std::string_view Header(const grpc::ServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

}  // namespace

void CallReport::Begin(const Method& method, TimePoint arrived) {
  method_ = &method;
  arrived_ = arrived;
  // Looking for headers is what costs: gRPC builds a map of them all.
  if (!environment_.tracer->enabled()) return;
  span_ = environment_.tracer->StartCall({.rpc_service = method.service(),
                                          .rpc_method = method.name(),
                                          .peer = [this] { return context_.peer(); },
                                          .traceparent = Header(context_, "traceparent"),
                                          .tracestate = Header(context_, "tracestate"),
                                          .system_time = system_clock::now(),
                                          .steady_time = arrived});
}

void CallReport::SetModel(const ServedModel* model, int64_t version) {
  model_ = model;
  version_ = version;
}

void CallReport::AddDecode(TimePoint started, TimePoint ended) {
  decode_ += ended - started;
  if (span_) span_->AddPhase("decode", started, ended);
}

void CallReport::AddInference(const InferenceTimings& timings) {
  queue_ += timings.started - timings.enqueued;
  forward_ += timings.ended - timings.started;
  batch_rows_ = std::max(batch_rows_, timings.batch_rows);
  if (span_ && inferences_++ < kMaxTracedInferences) {
    span_->AddPhase("queue", timings.enqueued, timings.started);
    const Field batch[] = {{"predictd.batch.rows", timings.batch_rows}};
    span_->AddPhase("forward", timings.started, timings.ended, batch);
  }
}

void CallReport::AddGeneration(const GenerationTimings& timings, int64_t prompt_tokens) {
  const TimePoint now = steady_clock::now();
  // Where it had not come to is as long as it lasted.
  const auto until = [now](TimePoint reached) { return reached == TimePoint() ? now : reached; };
  const TimePoint started = until(timings.started);
  const TimePoint first_token = until(timings.first_token);
  const TimePoint last_token = timings.first_token == TimePoint() ? now : timings.last_token;
  queue_ = started - timings.enqueued;
  prefill_ = first_token - started;
  generate_ = last_token - first_token;
  forward_ = prefill_ + generate_;
  generated_tokens_ = timings.generated_tokens;
  if (!span_) return;
  span_->AddPhase("queue", timings.enqueued, started);
  const Field prompt[] = {{"gen_ai.usage.input_tokens", prompt_tokens},
                          {"gen_ai.usage.cache_read.input_tokens", timings.cached_tokens}};
  if (timings.started != TimePoint()) span_->AddPhase("prefill", started, first_token, prompt);
  const Field answer[] = {{"gen_ai.usage.output_tokens", timings.generated_tokens}};
  if (timings.first_token != TimePoint()) span_->AddPhase("decode", first_token, last_token, answer);
  span_->SetAttribute("gen_ai.operation.name", "text_completion");
  span_->SetAttribute("gen_ai.provider.name", "predictd");
  if (model_ != nullptr) span_->SetAttribute("gen_ai.request.model", std::string_view(model_->name()));
  span_->SetAttribute("gen_ai.usage.input_tokens", prompt_tokens);
  span_->SetAttribute("gen_ai.usage.output_tokens", timings.generated_tokens);
  std::string reasons = timings.stopped_answers > 0 ? "stop" : "";
  if (timings.cut_answers > 0) absl::StrAppend(&reasons, reasons.empty() ? "" : ",", "length");
  if (!reasons.empty()) span_->SetAttribute("gen_ai.response.finish_reasons", reasons);
}

void CallReport::AddCacheLookup(std::string_view outcome, TimePoint started, TimePoint ended) {
  cache_outcome_ = outcome;
  cache_ = ended - started;
  if (span_) {
    const Field fields[] = {{"predictd.cache.outcome", outcome}};
    span_->AddPhase("cache", started, ended, fields);
  }
}

void CallReport::SetAge(Duration age) {
  context_.AddTrailingMetadata("age", absl::StrCat(std::chrono::floor<std::chrono::seconds>(age).count()));
}

std::string CallReport::ServerTiming() const {
  std::string timing;
  timing.reserve(112);
  AppendMetric("decode", decode_, timing);
  if (!cache_outcome_.empty()) {
    timing.append(", cache;desc=\"").append(cache_outcome_);
    AppendMetric("\"", cache_, timing);
  }
  if (batch_rows_ > 0) {
    AppendMetric(", queue", queue_, timing);
    AppendMetric(", forward", forward_, timing);
  }
  if (generated_tokens_ >= 0) {
    AppendMetric(", queue", queue_, timing);
    AppendMetric(", prefill", prefill_, timing);
    AppendMetric(", generate", generate_, timing);
  }
  AppendMetric(", total", closed_ - arrived_, timing);
  if (batch_rows_ > 0) absl::StrAppend(&timing, ", batch;desc=\"", batch_rows_, "\"");
  if (generated_tokens_ >= 0) absl::StrAppend(&timing, ", tokens;desc=\"", generated_tokens_, "\"");
  return timing;
}

void CallReport::Close(TimePoint closed) {
  closed_ = closed;
  context_.AddTrailingMetadata("server-timing", ServerTiming());
}

void CallReport::End(const grpc::Status& status, StopReason stop, TimePoint ended) {
  const int code = std::clamp(static_cast<int>(status.error_code()), 0, 16);
  const RpcMetrics::Series& series = method_->series(model_);
  series.ended(code).Increment();
  series.seconds().Observe(std::chrono::duration<double>(ended - arrived_).count());
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
  span_->AddPhase("respond", closed_, ended);
  span_->End(code, status.error_message());
}

void CallReport::LogLine(int code, const grpc::Status& status, TimePoint ended) const {
  std::string_view trace_id;
  const auto parent = span_ ? std::nullopt : ParseTraceparent(Header(context_, "traceparent"));
  if (span_) {
    trace_id = span_->trace_id();
  } else if (parent) {
    trace_id = parent->trace_id;
  }
  const absl::string_view name = CodeName(code);
  Log(LogLevel::kInfo, "request",
      {{"method", method_->name()},
       {"model", model()},
       {"version", version_},
       {"code", std::string_view(name.data(), name.size())},
       {"message", status.error_message()},
       {"request_id", request_id_},
       {"trace_id", trace_id},
       {"peer", context_.peer()},
       {"total_ms", Milliseconds(ended - arrived_)},
       {"queue_ms", Milliseconds(queue_)},
       {"forward_ms", Milliseconds(forward_)},
       {"batch_rows", batch_rows_}});
}

}  // namespace predictd
