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
  // http://host:port or https://host:port. Headers, compression and certificates come from OpenTelemetry's own
  // environment variables (OTEL_EXPORTER_OTLP_HEADERS, _COMPRESSION, _CERTIFICATE). So do the service's name and
  // further resource attributes (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES), which take precedence over those below.
  std::string otlp_endpoint = "http://localhost:4317";
  // The file that is appended to, in OTLP's JSON encoding, one batch of spans per line.
  std::string file = {};
  // Once the file has this many bytes, it is moved aside, to FILE.1 and so on; `older_files` of those are kept.
  int64_t max_file_bytes = int64_t{64} << 20;
  int older_files = 3;
  // The part of the calls without a traceparent that are traced, from 0 to 1.
  double sample_ratio = 0.01;
  // How many calls a second are traced because their traceparent says so. Callers choose that, and traces cost the
  // server time and space, so further calls are sampled by the ratio.
  int max_forced_per_second = 100;
  std::string service_name = "predictd";
  // Both are left out of the resource if they are empty.
  std::string service_version = {};
  std::string service_instance_id = {};
  // How long finished spans wait for others to be exported with.
  absl::Duration batch_delay = absl::Seconds(1);
  // How long the collector may take for a batch before the batch is dropped.
  absl::Duration export_timeout = absl::Seconds(2);
};

// What is known when a call arrives. The views are read before StartCall returns.
struct CallSpanStart {
  std::string_view rpc_service;  // predictd.v1.PredictionService
  std::string_view rpc_method;   // Predict
  // Returns gRPC's name for the peer (ipv4:10.0.0.7:51234); called only if the call is sampled.
  std::function<std::string()> peer = {};
  std::string_view traceparent = {};  // W3C headers as they came; empty when absent
  std::string_view tracestate = {};
  // The same moment on both clocks.
  std::chrono::system_clock::time_point system_time;
  std::chrono::steady_clock::time_point steady_time;
};

// Makes the spans of sampled calls and exports them from a thread of its own. Owned by the composition root. Any thread
// may call StartCall; one thread calls Shutdown. A collector that is down or slow costs spans, never time or memory: up
// to 8192 spans wait in a queue, and further ones are dropped, counted, and reported in the log.
class Tracer {
 public:
  // Returns INVALID_ARGUMENT for a ratio or an endpoint that makes no sense, and UNAVAILABLE if the file cannot be
  // opened. Does not wait for the collector.
  static absl::StatusOr<std::unique_ptr<Tracer>> Create(const TraceOptions& options);

  // Without a Shutdown before it, drops the spans that are queued. Blocks for `export_timeout` at the most.
  ~Tracer();

  // Whether any call can be sampled; without an exporter none can.
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  // Returns null for a call that is not sampled, which is decided before anything is allocated: a valid traceparent
  // decides by its sampled flag, up to `max_forced_per_second`; the ratio decides for all other calls.
  std::unique_ptr<CallSpan> StartCall(const CallSpanStart& start);

  const SpanCounts& counts() const { return *counts_; }

  // Exports what is queued. When less than `export_timeout` is left of `timeout`, it drops the rest and returns
  // DEADLINE_EXCEEDED, so it blocks for the longer of the two at the most. Spans that end later are dropped.
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
