#ifndef PREDICTD_SERVER_TELEMETRY_TRACING_H_
#define PREDICTD_SERVER_TELEMETRY_TRACING_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/telemetry/call_span.h"
#include "server/telemetry/log_limiter.h"
#include "server/telemetry/span_counts.h"
#include "server/telemetry/traceparent.h"

namespace predictd {

enum class TraceExporter { kNone, kOtlpGrpc, kFile };

struct TraceOptions {
  TraceExporter exporter = TraceExporter::kNone;
  // http://host:port or https://host:port. Headers and certificates come from OpenTelemetry's own environment variables
  // (OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE), further resource attributes from
  // OTEL_RESOURCE_ATTRIBUTES.
  std::string otlp_endpoint = "http://localhost:4317";
  // Exactly this file is appended to, in OTLP's JSON encoding, one batch of spans per line.
  std::string file = {};
  // Once the file has this many bytes it is moved aside, to FILE.1 and so on, of which so many stay.
  int64_t max_file_bytes = int64_t{64} << 20;
  int older_files = 3;
  // The part of the calls without a traceparent that are traced, 0 to 1.
  double sample_ratio = 0.01;
  // Calls a second that are traced because their traceparent says so: callers choose it, and traces cost the server
  // time and space. Those above are sampled by the ratio.
  int max_forced_per_second = 100;
  std::string service_name = "predictd";
  // Left out of the resource when empty.
  std::string service_version = {};
  std::string service_instance_id = {};
  // Finished spans wait up to this long for others to be exported with.
  absl::Duration batch_delay = absl::Seconds(1);
  // How long the collector may take for a batch; the batch is dropped after that.
  absl::Duration export_timeout = absl::Seconds(2);
};

// What is known when a call arrives. The views are read before StartCall returns.
struct CallSpanStart {
  std::string_view rpc_service;  // predictd.v1.PredictionService
  std::string_view rpc_method;   // Predict
  // The other end as gRPC names it (ipv4:10.0.0.7:51234): asked for only if the call is sampled.
  std::function<std::string()> peer = {};
  std::string_view traceparent = {};  // W3C headers as they came; empty when absent
  std::string_view tracestate = {};
  // The same moment on both clocks.
  std::chrono::system_clock::time_point system_time;
  std::chrono::steady_clock::time_point steady_time;
};

// Makes the spans of sampled calls and exports them from a thread of its own. Owned by the composition root. StartCall
// may be called by any thread, Shutdown by one. A collector that is down or slow costs spans, never time or memory: up
// to 8192 wait in a queue, further ones are dropped, counted, and the log says so.
class Tracer {
 public:
  // INVALID_ARGUMENT for a ratio or an endpoint that make no sense, UNAVAILABLE when the file cannot be opened. Does
  // not wait for the collector.
  static absl::StatusOr<std::unique_ptr<Tracer>> Create(const TraceOptions& options);

  // Without a Shutdown before it, drops the spans that are queued; blocks for `export_timeout` at the most.
  ~Tracer();

  // Whether any call can be sampled: without an exporter none is.
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  // Null for a call that is not sampled, decided before anything is made: a valid traceparent decides by its sampled
  // flag, up to `max_forced_per_second`; the ratio decides for the others.
  std::unique_ptr<CallSpan> StartCall(const CallSpanStart& start);

  const SpanCounts& counts() const { return *counts_; }

  // Exports what is queued, and drops the rest, DEADLINE_EXCEEDED, when there is less than `export_timeout` left of
  // `timeout`. So it blocks for the longer of the two at the most. Spans that end later are dropped.
  absl::Status Shutdown(absl::Duration timeout);

 private:
  struct Impl;
  Tracer(const TraceOptions& options, std::shared_ptr<SpanCounts> counts, std::unique_ptr<Impl> impl);
  bool Sample(const std::optional<Traceparent>& parent, std::chrono::steady_clock::time_point now);

  const double sample_ratio_;
  LogLimiter forced_;
  // Spans may outlive the tracer.
  const std::shared_ptr<SpanCounts> counts_;
  const std::unique_ptr<Impl> impl_;  // null without an exporter
  std::atomic<bool> enabled_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_TRACING_H_
