#include "server/server.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/async/step_queue.h"
#include "server/async/worker_pool.h"
#include "server/config/memory_limit.h"
#include "server/engine/catalog.h"
#include "server/engine/loader.h"
#include "server/files/atomic_file.h"
#include "server/generator_loading.h"
#include "server/generator_metrics.h"
#include "server/kernels/kernels.h"
#include "server/model/repository.h"
#include "server/model/torch_model.h"
#include "server/process/thread_limit.h"
#include "server/response_cache_metrics.h"
#include "server/rpc/rpc_server.h"
#include "server/runner_metrics.h"
#include "server/telemetry/drop_metrics.h"
#include "server/telemetry/log.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/metrics_server.h"
#include "server/telemetry/tracing.h"
#include "server/telemetry/utf8.h"

namespace predictd {
namespace {

// What batches may cost to be run by an event loop at the end of a burst: about as much as waking a worker and coming
// back, and the bound that this adds to the loops' lag.
constexpr Duration kMaxInlineCost = std::chrono::microseconds(200);

// Those of gRPC, which starts them as it likes, and those of the server that are not counted by options: loader,
// metrics and spans.
constexpr int kFurtherThreads = 16;

int Cores() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// What callers may make the server hold. Room for a few of the largest requests in any case.
int64_t RequestMemory(const ServerConfig& config) {
  if (config.request_memory > 0) return config.request_memory;
  return std::max(AvailableMemory() / 16, 8 * config.max_message_bytes);
}

// Of a configured time, where zero is for ever.
Duration TimeLimit(absl::Duration configured) {
  return configured > absl::ZeroDuration() ? Duration(absl::ToChronoNanoseconds(configured)) : Duration::max();
}

TraceOptions MakeTraceOptions(const ServerConfig& config) {
  TraceOptions options;
  if (config.trace_exporter == "otlp") options.exporter = TraceExporter::kOtlpGrpc;
  if (config.trace_exporter == "file") options.exporter = TraceExporter::kFile;
  options.otlp_endpoint = config.trace_endpoint;
  options.file = config.trace_file;
  options.max_file_bytes = config.trace_file_max_bytes;
  options.older_files = config.trace_file_keep;
  options.sample_ratio = config.trace_sample_ratio;
  options.max_forced_per_second = config.trace_max_forced_per_second;
  options.service_version = PREDICTD_VERSION;
  return options;
}

LogRequests ParseLogRequests(const std::string& name) {
  if (name == "all") return LogRequests::kAll;
  return name == "none" ? LogRequests::kNone : LogRequests::kErrors;
}

absl::Status WritePort(const std::string& file, int port) {
  if (file.empty()) return absl::OkStatus();
  return WriteFileAtomically(file, absl::StrCat(port, "\n"));
}

// Says in log and health what the loader found out.
void ReportLoaded(const Catalog& catalog, RpcServer& rpc, const ServedModel& model, const ServedVersion& version,
                  const absl::Status& status, absl::string_view note) {
  const absl::string_view text = status.ok() ? note : status.message();
  const Field fields[] = {{"model", model.name()},
                          {"version", version.entry().version},
                          {status.ok() ? "note" : "cause", std::string_view(text.data(), text.size())}};
  if (status.ok()) {
    Log(LogLevel::kInfo, "model ready", absl::MakeConstSpan(fields, note.empty() ? 2 : 3));
  } else {
    Log(LogLevel::kError, "model could not be loaded", fields);
  }
  rpc.health().Set(model.name(), model.ready());
  if (!catalog.loading()) {
    rpc.health().Set("", true);
    Log(LogLevel::kInfo, "all models are loaded: serving");
  }
}

// What runs for nobody any more may take so long to end by itself.
constexpr absl::Duration kLastRun = absl::Seconds(1);

// All calls have ended, but a model still runs or is read, which nothing can interrupt: it may take minutes. So the
// process ends around it.
[[noreturn]] void LeaveNow(Tracer& tracer, const RpcEnvironment& environment) {
  if (!tracer.Shutdown(absl::Seconds(5)).ok()) Log(LogLevel::kWarning, "some spans could not be exported");
  Log(LogLevel::kWarning, "stopped without waiting for a model that still runs or is being loaded",
      {{"calls_accepted", environment.accepted.load()}, {"calls_ended", environment.ended.load()}});
  ShutdownLogging();
  std::_Exit(0);
}

// Whether no caller can be told of the model: protobuf has no strings that are not UTF-8, and an answer with one is
// unreadable as a whole.
bool IsUnspeakable(const ModelEntry& entry) {
  if (ToValidUtf8(entry.name, entry.name.size()) == entry.name) return false;
  Log(LogLevel::kError, "a model's folder is left out: its name is not UTF-8",
      {{"model", absl::CHexEscape(entry.name)}});
  return true;
}

}  // namespace

absl::Status RunServer(const ServerConfig& config, StopSignals& signals) {
  Log(LogLevel::kInfo, "reading the model repository", {{"path", config.model_repository}});
  absl::StatusOr<std::vector<ModelEntry>> entries = ScanRepository(config.model_repository);
  if (!entries.ok()) return entries.status();
  std::erase_if(*entries, IsUnspeakable);
  for (const ModelEntry& entry : *entries) {
    if (entry.status.ok()) continue;
    const absl::string_view cause = entry.status.message();
    Log(LogLevel::kError, "model has no valid configuration",
        {{"model", entry.name}, {"cause", std::string_view(cause.data(), cause.size())}});
  }
  if (entries->empty())
    Log(LogLevel::kWarning, "the model repository has no models", {{"path", config.model_repository}});

  // In the order in which they depend on each other; destroyed in the opposite order.
  MetricsRegistry registry;
  RunnerMetrics runner_metrics(registry);
  GeneratorMetrics generator_metrics(registry);
  ResponseCacheMetrics cache_metrics(registry);
  RpcMetrics rpc_metrics(registry);
  absl::StatusOr<std::unique_ptr<Tracer>> tracer = Tracer::Create(MakeTraceOptions(config));
  if (!tracer.ok()) return tracer.status();
  AddDropMetrics(registry, **tracer);
  std::unique_ptr<HttpServer> metrics_server;
  if (!config.metrics_listen.empty()) {
    auto created = ServeMetrics(registry, config.metrics_listen);
    if (!created.ok()) return created.status();
    metrics_server = *std::move(created);
    if (absl::Status status = WritePort(config.metrics_port_file, metrics_server->port()); !status.ok()) return status;
  }

  const SteadyClock clock;
  const auto make_cache = [&](const ModelEntry& model, int64_t version) {
    const ResponseCache::Options options = {.capacity_bytes = static_cast<size_t>(model.config.response_cache_bytes),
                                            .observer = &cache_metrics.ForVersion(model.name, version)};
    return std::make_shared<ResponseCache>(options, clock);
  };
  Catalog catalog(*std::move(entries), make_cache);
  const int workers = config.workers > 0 ? config.workers : std::max(1, Cores() / config.intra_op_threads);
  const auto init_thread = [threads = config.intra_op_threads] { InitTorchThread(threads); };
  const int loops = config.loops > 0 ? config.loops : std::max(1, Cores() / 2);
  if (absl::Status status = CheckThreadLimit(workers + loops + kFurtherThreads); !status.ok()) return status;
  WorkerPool pool({.workers = workers,
                   .on_start = init_thread,
                   .max_inline_cost = kMaxInlineCost,
                   .on_exception = [](const char* what) {
                     Log(LogLevel::kError, "a worker's step ended with an exception", {{"cause", what}});
                   }});

  RpcEnvironment environment(RequestMemory(config));
  environment.default_deadline = config.default_deadline;
  environment.max_deadline = config.max_deadline;
  environment.peer_limits = {.receive = TimeLimit(config.receive_timeout),
                             .stall = TimeLimit(config.stream_stall_timeout),
                             .least_rate = config.min_reader_rate};
  environment.max_concurrent_streams = config.max_concurrent_streams;
  environment.max_endless_calls = config.max_endless_calls;
  environment.log_requests = ParseLogRequests(config.log_requests);
  environment.tracer = tracer->get();
  environment.metrics = &rpc_metrics;
  environment.decoding = std::make_shared<StepQueue>(StepQueue::Options{}, pool);
  signals.BeginServing();
  absl::StatusOr<std::unique_ptr<RpcServer>> started =
      RpcServer::Start({.listen = config.listen,
                        .max_connections = config.max_connections,
                        .max_connections_per_peer = config.max_connections_per_peer,
                        .connection_idle_timeout = config.connection_idle_timeout,
                        .transport_memory = AvailableMemory() / 4,
                        .loops = loops,
                        .max_message_bytes = config.max_message_bytes,
                        .max_concurrent_streams = config.max_concurrent_streams,
                        .stream_window = config.stream_window},
                       environment, catalog, pool, init_thread);
  if (!started.ok()) return started.status();
  RpcServer& rpc = **started;
  rpc.health().Set("", !catalog.loading());
  for (const auto& [name, model] : catalog.models()) rpc.health().Set(name, false);
  if (absl::Status status = WritePort(config.port_file, rpc.port()); !status.ok()) return status;
  Log(LogLevel::kInfo, "listening",
      {{"address", config.listen}, {"port", rpc.port()}, {"workers", workers}, {"kernels", BestKernels().name}});

  {
    Loader loader(
        catalog, pool,
        // Loops run cheap models, too.
        [runners = workers + loops, init_thread](const VersionEntry& version, const ModelConfig& config) {
          init_thread();
          return LoadTorchModel(version, config.signature,
                                {.runners = runners, .allow_parallel_regions = config.allow_parallel_regions});
        },
        [&](const ServedModel& model, const ServedVersion& version, std::unique_ptr<Model> loaded) {
          const ModelConfig& config = model.config();
          const ModelRunner::Options options = {
              .queue = {.capacity = static_cast<size_t>(config.queue_capacity),
                        .capacity_bytes = config.queue_bytes,
                        .max_delay = absl::ToChronoNanoseconds(config.max_queue_delay),
                        .preferred_rows = config.preferred_batch_sizes},
              .share = {.weight = config.weight, .max_concurrency = static_cast<int>(config.max_concurrency)},
              .observer = &runner_metrics.ForVersion(model.name(), version.entry().version),
              .loop_bound = kMaxInlineCost};
          return std::make_shared<ModelRunner>(std::move(loaded), config.signature, options, pool, clock);
        },
        [&](const ServedModel& model, const ServedVersion& version, const std::atomic<bool>& stopping) {
          GeneratorObserver& observer = generator_metrics.ForVersion(model.name(), version.entry().version);
          return LoadGenerator(model.config(), version.entry(), pool, config.intra_op_threads, observer, clock,
                               stopping);
        },
        [&](const ServedModel& model, const ServedVersion& version, const absl::Status& status,
            absl::string_view note) { ReportLoaded(catalog, rpc, model, version, status, note); });

    signals.WaitForStop();
    rpc.health().SetNotServing();
    Log(LogLevel::kInfo, "draining", {{"in_flight", environment.accepted - environment.ended}});
    absl::SleepFor(config.drain_delay);
    rpc.Drain(config.drain_grace);
    const TimePoint until = clock.Now() + absl::ToChronoNanoseconds(kLastRun);
    if (!loader.StopBy(until) || !pool.StopBy(until)) LeaveNow(**tracer, environment);
  }
  pool.Stop();
  rpc.Stop();
  if (!(*tracer)->Shutdown(absl::Seconds(5)).ok()) Log(LogLevel::kWarning, "some spans could not be exported");
  Log(LogLevel::kInfo, "stopped",
      {{"calls_accepted", environment.accepted.load()}, {"calls_ended", environment.ended.load()}});
  return absl::OkStatus();
}

}  // namespace predictd
