#include "server/services/work_report.h"

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr ReportKey kDecode = {"decode", "decode_ms"};
constexpr ReportKey kCache = {"cache", "cache_ms"};
constexpr ReportKey kQueue = {"queue", "queue_ms"};
constexpr ReportKey kForward = {"forward", "forward_ms"};
constexpr ReportKey kPrefill = {"prefill", "prefill_ms"};
constexpr ReportKey kGenerate = {"generate", "generate_ms"};
constexpr ReportKey kBatch = {"batch", "batch_rows"};
constexpr ReportKey kTokens = {"tokens", "generated_tokens"};

}  // namespace

void ReportDecoding(CallReport& report, TimePoint started, TimePoint ended) {
  report.AddTime(kDecode, ended - started);
  report.AddPhase("decode", started, ended);
}

void ReportInference(CallReport& report, const InferenceTimings& timings) {
  report.AddTime(kQueue, timings.started - timings.enqueued);
  report.AddTime(kForward, timings.ended - timings.started);
  report.RaiseFigure(kBatch, timings.batch_rows);
  if (report.span() == nullptr) return;
  report.AddPhase("queue", timings.enqueued, timings.started);
  const Field batch[] = {{"predictd.batch.rows", timings.batch_rows}};
  report.AddPhase("forward", timings.started, timings.ended, batch);
}

void ReportGeneration(CallReport& report, const GenerationTimings& timings) {
  const TimePoint now = std::chrono::steady_clock::now();
  // A stage that was never reached counts as reached now.
  const auto until = [now](TimePoint reached) { return reached == TimePoint() ? now : reached; };
  const TimePoint started = until(timings.started);
  const TimePoint first_token = until(timings.first_token);
  const TimePoint last_token = timings.first_token == TimePoint() ? now : timings.last_token;
  report.AddTime(kQueue, started - timings.enqueued);
  report.AddTime(kPrefill, first_token - started);
  report.AddTime(kGenerate, last_token - first_token);
  report.RaiseFigure(kTokens, timings.generated_tokens);
  CallSpan* const span = report.span();
  if (span == nullptr) return;
  report.AddPhase("queue", timings.enqueued, started);
  const Field prompt[] = {{"gen_ai.usage.input_tokens", timings.prompt_tokens},
                          {"gen_ai.usage.cache_read.input_tokens", timings.cached_tokens}};
  if (timings.started != TimePoint()) report.AddPhase("prefill", started, first_token, prompt);
  const Field answer[] = {{"gen_ai.usage.output_tokens", timings.generated_tokens}};
  if (timings.first_token != TimePoint()) report.AddPhase("decode", first_token, last_token, answer);
  span->SetAttribute("gen_ai.operation.name", "text_completion");
  span->SetAttribute("gen_ai.provider.name", "predictd");
  if (!report.model().empty()) span->SetAttribute("gen_ai.request.model", report.model());
  span->SetAttribute("gen_ai.usage.input_tokens", timings.prompt_tokens);
  span->SetAttribute("gen_ai.usage.output_tokens", timings.generated_tokens);
  std::string reasons = timings.stopped_answers > 0 ? "stop" : "";
  if (timings.cut_answers > 0) absl::StrAppend(&reasons, reasons.empty() ? "" : ",", "length");
  if (!reasons.empty()) span->SetAttribute("gen_ai.response.finish_reasons", reasons);
}

void ReportCacheLookup(CallReport& report, std::string_view outcome, TimePoint started, TimePoint ended) {
  report.AddTime(kCache, ended - started, outcome);
  const Field fields[] = {{"predictd.cache.outcome", outcome}};
  report.AddPhase("cache", started, ended, fields);
}

}  // namespace predictd
