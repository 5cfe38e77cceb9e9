#include "server/telemetry/drop_metrics.h"

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "server/telemetry/log.h"

namespace predictd {
namespace {

using Series = CounterFunctions::Series;

Series DroppedLines(LogDrop reason, const char* reason_name, LogLevel level, const char* level_name) {
  return {{reason_name, level_name}, [reason, level] { return DroppedLogRecords(reason, level); }};
}

Series DroppedSpans(const char* reason, const std::atomic<uint64_t>& count) {
  return {{reason}, [&count] { return count.load(std::memory_order_relaxed); }};
}

}  // namespace

void AddDropMetrics(MetricsRegistry& registry, const Tracer& tracer) {
  constexpr std::pair<LogLevel, const char*> kLevels[] = {{LogLevel::kDebug, "debug"},
                                                          {LogLevel::kInfo, "info"},
                                                          {LogLevel::kWarning, "warning"},
                                                          {LogLevel::kError, "error"}};
  std::vector<Series> lines;
  for (const auto& [level, name] : kLevels) {
    lines.push_back(DroppedLines(LogDrop::kQueueFull, "queue_full", level, name));
    lines.push_back(DroppedLines(LogDrop::kUnwritten, "unwritten", level, name));
  }
  // Records that are held back are those of calls that failed, and of the causes of failures that are a model's fault.
  lines.push_back(DroppedLines(LogDrop::kHeldBack, "held_back", LogLevel::kInfo, "info"));
  lines.push_back(DroppedLines(LogDrop::kHeldBack, "held_back", LogLevel::kError, "error"));
  registry.AddCounterFunctions(
      "predictd_log_lines_dropped_total",
      "Lines that the log lacks: stderr is read too slowly, it took nothing, or too many requests failed alike.",
      {"reason", "level"}, std::move(lines));

  const SpanCounts& counts = tracer.counts();
  registry.AddCounterFunctions("predictd_spans_exported_total", "Spans sent or written.", {},
                               {{{}, [&counts] { return counts.exported.load(std::memory_order_relaxed); }}});
  registry.AddCounterFunctions(
      "predictd_spans_dropped_total", "Spans lost: too many waited to be exported, or they could not be exported.",
      {"reason"}, {DroppedSpans("queue_full", counts.queue_full), DroppedSpans("not_exported", counts.not_exported)});
  registry.AddCounterFunctions("predictd_traces_refused_total",
                               "Calls not traced although their traceparent says so: there were too many.", {},
                               {{{}, [&counts] { return counts.calls_over_limit.load(std::memory_order_relaxed); }}});
}

}  // namespace predictd
