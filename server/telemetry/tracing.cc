#include "server/telemetry/tracing.h"

#include <opentelemetry/context/context.h>
#include <opentelemetry/sdk/resource/resource.h>
#include <opentelemetry/sdk/resource/resource_detector.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/semconv/client_attributes.h>
#include <opentelemetry/semconv/incubating/rpc_attributes.h>
#include <opentelemetry/semconv/service_attributes.h>
#include <opentelemetry/trace/context.h>
#include <opentelemetry/trace/propagation/detail/hex.h>
#include <opentelemetry/trace/span_startoptions.h>
#include <opentelemetry/trace/trace_state.h>

#include <array>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/telemetry/call_span_impl.h"
#include "server/telemetry/counting_processor.h"
#include "server/telemetry/otel_log.h"
#include "server/telemetry/peer.h"
#include "server/telemetry/span_exporter.h"

namespace predictd {
namespace {

namespace sdk = opentelemetry::sdk;
namespace semconv = opentelemetry::semconv;
namespace trace = opentelemetry::trace;
using opentelemetry::nostd::shared_ptr;

// This is the least that W3C asks servers to pass on.
constexpr size_t kMaxTracestate = 512;

opentelemetry::nostd::string_view AsNostd(std::string_view text) {
  return {text.data(), text.size()};
}

// Returns a number that is uniform in [0, 1). Each thread has its own generator (splitmix64), so this takes no lock.
double ThreadRandom() {
  thread_local uint64_t state = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  uint64_t z = (state += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

sdk::resource::Resource MakeResource(const TraceOptions& options) {
  sdk::resource::ResourceAttributes attributes = {{semconv::service::kServiceName, options.service_name}};
  if (!options.service_version.empty()) attributes[semconv::service::kServiceVersion] = options.service_version;
  if (!options.service_instance_id.empty()) attributes["service.instance.id"] = options.service_instance_id;
  // The environment takes precedence: the operator knows better than we do what the server is called.
  return sdk::resource::Resource::Create(attributes).Merge(sdk::resource::OTELResourceDetector().Detect());
}

trace::SpanContext ToSpanContext(const Traceparent& parent, std::string_view tracestate) {
  uint8_t trace_id[trace::TraceId::kSize] = {};
  uint8_t span_id[trace::SpanId::kSize] = {};
  trace::propagation::detail::HexToBinary(AsNostd(parent.trace_id), trace_id, sizeof(trace_id));
  trace::propagation::detail::HexToBinary(AsNostd(parent.parent_id), span_id, sizeof(span_id));
  shared_ptr<trace::TraceState> state = trace::TraceState::GetDefault();
  if (tracestate.size() <= kMaxTracestate) state = trace::TraceState::FromHeader(AsNostd(tracestate));
  return trace::SpanContext(trace::TraceId(trace_id), trace::SpanId(span_id),
                            trace::TraceFlags(trace::TraceFlags::kIsSampled), /*is_remote=*/true, state);
}

absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeExporter(const TraceOptions& options) {
  if (options.exporter == TraceExporter::kFile) {
    return MakeFileExporter(
        {.path = options.file, .max_bytes = options.max_file_bytes, .older_files = options.older_files});
  }
  return MakeOtlpGrpcExporter(options.otlp_endpoint, options.export_timeout);
}

}  // namespace

struct Tracer::Impl {
  Impl(std::unique_ptr<CancellableExporter> owned_exporter, const TraceOptions& options,
       std::shared_ptr<SpanCounts> counts)
      : exporter(owned_exporter.get()), export_timeout(options.export_timeout) {
    provider = sdk::trace::TracerProviderFactory::Create(
        MakeCountingProcessor(std::move(owned_exporter), {.delay = options.batch_delay}, std::move(counts)),
        MakeResource(options),
        // Every span is sampled here, because StartCall has decided already.
        sdk::trace::AlwaysOnSamplerFactory::Create());
    tracer = provider->GetTracer("predictd", options.service_version);
  }

  CancellableExporter* const exporter;  // owned by the provider's processor
  const absl::Duration export_timeout;
  std::unique_ptr<sdk::trace::TracerProvider> provider;
  shared_ptr<trace::Tracer> tracer;
};

absl::StatusOr<std::unique_ptr<Tracer>> Tracer::Create(const TraceOptions& options) {
  if (!(options.sample_ratio >= 0 && options.sample_ratio <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("sample ratio ", options.sample_ratio, " is not within 0 to 1"));
  }
  if (options.batch_delay < absl::Milliseconds(1) || options.export_timeout < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("the batch delay and the export timeout of traces are at least 1 ms");
  }
  auto counts = std::make_shared<SpanCounts>();
  if (options.exporter == TraceExporter::kNone) return std::unique_ptr<Tracer>(new Tracer(options, counts, nullptr));
  RouteOtelLog();
  absl::StatusOr<std::unique_ptr<CancellableExporter>> exporter = MakeExporter(options);
  if (!exporter.ok()) return exporter.status();
  auto impl = std::make_unique<Impl>(*std::move(exporter), options, counts);
  return std::unique_ptr<Tracer>(new Tracer(options, counts, std::move(impl)));
}

Tracer::Tracer(const TraceOptions& options, std::shared_ptr<SpanCounts> counts, std::unique_ptr<Impl> impl)
    : sample_ratio_(options.sample_ratio),
      forced_(static_cast<uint64_t>(options.max_forced_per_second), std::chrono::seconds(1)),
      counts_(std::move(counts)),
      impl_(std::move(impl)),
      enabled_(impl_ != nullptr) {}

Tracer::~Tracer() {
  Shutdown(absl::ZeroDuration()).IgnoreError();
}

bool Tracer::Sample(const std::optional<Traceparent>& parent, std::chrono::steady_clock::time_point now) {
  if (parent.has_value() && !parent->sampled) return false;
  if (parent.has_value() && forced_.Admit(now).has_value()) return true;
  if (ThreadRandom() < sample_ratio_) return true;
  if (parent.has_value()) counts_->calls_over_limit.fetch_add(1, std::memory_order_relaxed);
  return false;
}

std::unique_ptr<CallSpan> Tracer::StartCall(const CallSpanStart& start) {
  if (!enabled()) return nullptr;
  const std::optional<Traceparent> parent = ParseTraceparent(start.traceparent);
  if (!Sample(parent, start.steady_time)) return nullptr;

  trace::StartSpanOptions options;
  options.kind = trace::SpanKind::kServer;
  options.start_system_time = opentelemetry::common::SystemTimestamp(start.system_time);
  options.start_steady_time = opentelemetry::common::SteadyTimestamp(start.steady_time);
  if (parent.has_value()) {
    options.parent = ToSpanContext(*parent, start.tracestate);
  } else {
    options.parent = opentelemetry::context::Context().SetValue(trace::kIsRootSpanKey, true);
  }

  auto impl = std::make_unique<CallSpan::Impl>();
  impl->tracer = impl_->tracer;
  std::string name(start.rpc_service);
  name += '/';
  name += start.rpc_method;
  impl->span = impl_->tracer->StartSpan(name, options);
  impl->start_system = start.system_time;
  impl->start_steady = start.steady_time;
  impl->span->GetContext().trace_id().ToLowerBase16(impl->trace_id);
  std::unique_ptr<CallSpan> span(new CallSpan(std::move(impl)));
  span->SetAttribute(semconv::rpc::kRpcSystem, "grpc");
  span->SetAttribute(semconv::rpc::kRpcService, start.rpc_service);
  span->SetAttribute(semconv::rpc::kRpcMethod, start.rpc_method);
  const Peer peer = start.peer ? ParsePeer(start.peer()) : Peer{};
  if (!peer.address.empty()) span->SetAttribute(semconv::client::kClientAddress, peer.address);
  if (peer.port > 0) span->SetAttribute(semconv::client::kClientPort, peer.port);
  return span;
}

absl::Status Tracer::Shutdown(absl::Duration timeout) {
  if (!enabled_.exchange(false)) return absl::OkStatus();
  // The processor drains its queue without a limit, so a second thread cuts it short, early enough for an export that
  // has just begun to end by its own timeout.
  Mutex mutex;
  CondVar drained_changed;
  bool drained = false;
  bool cut_short = false;
  const auto deadline =
      SaturatingAdd(std::chrono::steady_clock::now(), absl::ToChronoNanoseconds(timeout - impl_->export_timeout));
  std::thread watchdog([&] {
    MutexLock lock(mutex);
    while (!drained && std::chrono::steady_clock::now() < deadline) drained_changed.WaitUntil(mutex, deadline);
    if (drained) return;
    cut_short = true;
    impl_->exporter->Cancel();
  });
  impl_->provider->Shutdown();
  {
    MutexLock lock(mutex);
    drained = true;
  }
  drained_changed.NotifyOne();
  watchdog.join();
  if (!cut_short) return absl::OkStatus();
  return absl::DeadlineExceededError("spans were dropped: they could not be exported before the shutdown's deadline");
}

}  // namespace predictd
