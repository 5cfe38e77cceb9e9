#include "server/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "server/async/reaper.h"
#include "server/async/step_queue.h"
#include "server/async/worker_pool.h"
#include "server/backends.h"
#include "server/config/cpu_limit.h"
#include "server/config/listen_address.h"
#include "server/config/memory_limit.h"
#include "server/control_server.h"
#include "server/kernels/kernel_set.h"
#include "server/load_report.h"
#include "server/model/memory_plan.h"
#include "server/model/repository.h"
#include "server/model_resources.h"
#include "server/port_file.h"
#include "server/process/thread_limit.h"
#include "server/rpc/rpc_server.h"
#include "server/services/methods.h"
#include "server/serving/catalog.h"
#include "server/serving/generator_loading.h"
#include "server/serving/generator_metrics.h"
#include "server/serving/model_manager.h"
#include "server/serving/model_memory.h"
#include "server/serving/ready_condition.h"
#include "server/serving/response_cache_metrics.h"
#include "server/serving/runner_loading.h"
#include "server/serving/runner_metrics.h"
#include "server/telemetry/drop_metrics.h"
#include "server/telemetry/log.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/metrics_server.h"
#include "server/telemetry/tracing.h"
#include "server/text/utf8.h"
#include "server/torch/threads.h"

namespace predictd {
namespace {

// How long a batch may take to be run by an event loop at the end of a burst. This is about the time to wake a worker
// and come back, and the most that it adds to the loops' lag.
constexpr Duration kMaxInlineCost = std::chrono::microseconds(200);

// The threads of gRPC, which starts them as it likes, and those of the server that no option counts: model manager,
// loader, reaper, metrics and spans.
constexpr int kFurtherThreads = 18;
// Those of a second gRPC server.
constexpr int kControlThreads = 8;

// Logs what thread counts and models are sized by.
void LogMachine(const CpuLimit& cpus, int64_t memory) {
  const std::string bytes = BytesName(memory);
  std::vector<Field> fields = {{"cores", cpus.cores}, {"allowed_cores", cpus.allowed}, {"memory", bytes}};
  if (cpus.quota.has_value()) fields.push_back({"cpu_quota", *cpus.quota});
  Log(LogLevel::kInfo, "what the process may use", fields);
}

// How many bytes callers may make the server hold. There is room for a few of the largest requests in any case.
int64_t RequestMemory(const ServerConfig& config) {
  if (config.request_memory > 0) return config.request_memory;
  return std::max(AvailableMemory() / 16, 8 * config.max_message_bytes);
}

// Converts a configured time, in which zero means for ever.
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
  options.export_timeout = config.trace_timeout;
  return options;
}

LogRequests ParseLogRequests(const std::string& name) {
  if (name == "all") return LogRequests::kAll;
  return name == "none" ? LogRequests::kNone : LogRequests::kErrors;
}

std::shared_ptr<ResponseCache> MakeCache(std::shared_ptr<ResponseCacheObserver> observer, const ModelConfig& config,
                                         const Clock& clock) {
  struct Observed {
    Observed(std::shared_ptr<ResponseCacheObserver> observer, const ResponseCache::Options& options, const Clock& clock)
        : observer(std::move(observer)), cache(options, clock) {}
    const std::shared_ptr<ResponseCacheObserver> observer;
    ResponseCache cache;
  };
  const ResponseCache::Options options = {.capacity_bytes = static_cast<size_t>(config.response_cache_bytes),
                                          .observer = observer.get()};
  const auto observed = std::make_shared<Observed>(std::move(observer), options, clock);
  return {observed, &observed->cache};
}

// Which models are to serve from the start.
std::function<bool(const std::string&)> LoadedFromStart(const ServerConfig& config) {
  if (config.model_control != "explicit" || config.load_model == "*") return nullptr;
  std::set<std::string> names;
  for (const absl::string_view name : absl::StrSplit(config.load_model, ',', absl::SkipWhitespace())) {
    names.emplace(absl::StripAsciiWhitespace(name));
  }
  return [names = std::move(names)](const std::string& model) { return names.contains(model); };
}

absl::Status CheckLoadModel(const ServerConfig& config, const ModelRepository& repository) {
  if (config.load_model == "*") return absl::OkStatus();
  for (absl::string_view name : absl::StrSplit(config.load_model, ',', absl::SkipWhitespace())) {
    name = absl::StripAsciiWhitespace(name);
    const bool known = std::any_of(repository.models.begin(), repository.models.end(),
                                   [name](const ModelEntry& model) { return model.name == name; });
    if (!known) {
      return absl::InvalidArgumentError(absl::StrCat("--load-model: there is no model '", name, "' in the repository"));
    }
  }
  return absl::OkStatus();
}

ModelControl ControlOf(const ServerConfig& config) {
  if (config.model_control == "explicit") return ModelControl::kCommands;
  return config.model_control == "poll" ? ModelControl::kRepository : ModelControl::kFixed;
}

// How many regions of shared memory may be registered, of which each takes an open file.
size_t MostRegions() {
  constexpr rlim_t kMost = 1024;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMost;
  return static_cast<size_t>(std::min(kMost, limit.rlim_cur / 16));
}

// Where calls are let in that change what is served.
enum class ControlPlace { kNowhere, kEverywhere, kOwnAddress };

ControlPlace ControlPlaceOf(const ServerConfig& config) {
  if (!config.control_listen.empty()) {
    // Two free ports are not the same.
    const absl::StatusOr<ListenAddress> address = ParseListenAddress(config.listen);
    const bool one_port = address.ok() && (address->kind == ListenAddress::Kind::kUnix || address->port != 0);
    return one_port && config.control_listen == config.listen ? ControlPlace::kEverywhere : ControlPlace::kOwnAddress;
  }
  return config.model_control == "explicit" ? ControlPlace::kEverywhere : ControlPlace::kNowhere;
}

// How long a run whose calls have all ended may take to end by itself.
constexpr absl::Duration kLastRun = absl::Seconds(1);

// Ends the process around a model that still runs or is read although all calls have ended: nothing can interrupt that,
// and it may take minutes.
[[noreturn]] void LeaveNow(Tracer& tracer, const RpcEnvironment& environment) {
  if (!tracer.Shutdown(absl::Seconds(5)).ok()) Log(LogLevel::kWarning, "some spans could not be exported");
  Log(LogLevel::kWarning, "stopped without waiting for a model that still runs or is being loaded",
      {{"calls_accepted", environment.accepted.load()}, {"calls_ended", environment.ended.load()}});
  ShutdownLogging();
  std::_Exit(0);
}

// Returns whether no caller can be told of the model: protobuf has no strings that are not UTF-8, and an answer with
// one is unreadable as a whole.
bool IsUnspeakable(const ModelEntry& entry) {
  if (IsUtf8(entry.name)) return false;
  Log(LogLevel::kError, "a model's folder is left out: its name is not UTF-8",
      {{"model", absl::CHexEscape(entry.name)}});
  return true;
}

}  // namespace

absl::Status RunServer(const ServerConfig& config, StopSignals& signals) {
  for (const std::string& warning : config.warnings) Log(LogLevel::kWarning, warning);
  Log(LogLevel::kInfo, "reading the model repository", {{"path", config.model_repository}});
  absl::StatusOr<ModelRepository> repository = ScanRepository(config.model_repository, Backends());
  if (!repository.ok()) return repository.status();
  std::erase_if(repository->models, IsUnspeakable);
  LogRepository(config.model_repository, *repository);
  if (absl::Status status = CheckLoadModel(config, *repository); !status.ok()) return status;

  // They stand in the order in which they depend on each other, and are destroyed in the opposite order.
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
  const CpuLimit cpus = FindCpuLimit();
  MemoryPlan memory_plan = PlanMemory(config);
  ModelMemory model_memory(memory_plan);
  LogMachine(cpus, memory_plan.limit());
  LimitTorchThreads(cpus.cores);
  const ModelThreads threads = CountModelThreads(config, cpus);
  const auto [workers, loops] = threads;
  const auto init_thread = [threads = config.intra_op_threads] { InitTorchThread(threads); };
  const ControlPlace control_place = ControlPlaceOf(config);
  const int control_threads = control_place == ControlPlace::kOwnAddress ? kControlThreads : 0;
  if (absl::Status status = CheckThreadLimit(workers + loops + kFurtherThreads + control_threads); !status.ok())
    return status;
  WorkerPool pool({.workers = workers,
                   .on_start = init_thread,
                   .max_inline_cost = kMaxInlineCost,
                   .on_exception = [](const char* what) {
                     Log(LogLevel::kError, "a worker's step ended with an exception", {{"cause", what}});
                   }});
  Reaper reaper;
  // The pool lets go of its models before the reaper is gone, even if an exception ends this function.
  const absl::Cleanup stop_pool = [&pool] { pool.Stop(); };
  Catalog catalog(
      repository->models, reaper,
      {.subject = [&](const std::string& model) { return MakeModelSubject(rpc_metrics.calls(), model); },
       .cache = [&](const std::string& model, const ModelConfig& config,
                    int64_t version) { return MakeCache(cache_metrics.ForVersion(model, version), config, clock); },
       .loaded = LoadedFromStart(config)});
  absl::StatusOr<ReadyCondition> ready = ReadyCondition::Create(config.ready, *catalog.snapshot());
  if (!ready.ok()) return absl::InvalidArgumentError(absl::StrCat("--ready: ", ready.status().message()));

  RpcEnvironment environment(RequestMemory(config));
  environment.default_deadline = config.default_deadline;
  environment.max_deadline = config.max_deadline;
  environment.peer_limits = {.receive = TimeLimit(config.receive_timeout),
                             .stall = TimeLimit(config.stream_stall_timeout),
                             .least_rate = config.min_reader_rate};
  environment.max_concurrent_streams = config.max_concurrent_streams;
  environment.max_endless_calls = config.max_endless_calls;
  environment.max_request_streams = config.max_request_streams;
  environment.log_requests = ParseLogRequests(config.log_requests);
  environment.server_timing = config.server_timing == "all";
  environment.tracer = tracer->get();
  environment.metrics = &rpc_metrics;
  environment.decoding = std::make_shared<StepQueue>(StepQueue::Options{}, pool);
  // What its owners have removed stays in memory as long as it is registered.
  SharedMemoryRegions shared_memory({.regions = MostRegions(), .bytes = static_cast<uint64_t>(AvailableMemory() / 4)},
                                    reaper);
  MethodTable methods(rpc_metrics);
  ServiceOptions service_options = {.control = control_place == ControlPlace::kEverywhere,
                                    .max_message_bytes = config.max_message_bytes,
                                    .stream_window = config.stream_window,
                                    .workers = workers,
                                    .server_version = PREDICTD_VERSION,
                                    .shared_memory = config.shared_memory == "system" ? &shared_memory : nullptr};
  AddServices(catalog, service_options, methods);
  std::optional<ControlServer> control;
  if (control_place == ControlPlace::kOwnAddress) {
    control.emplace(config, environment, rpc_metrics);
    service_options.control = true;
    AddModelService(catalog, service_options, control->methods());
  }
  signals.BeginServing();
  absl::StatusOr<std::unique_ptr<RpcServer>> started =
      RpcServer::Start({.listen = config.listen,
                        .max_connections = config.max_connections,
                        .max_connections_per_peer = config.max_connections_per_peer,
                        .connection_idle_timeout = config.connection_idle_timeout,
                        .max_connection_age = config.max_connection_age,
                        .max_connection_age_grace = config.max_connection_age_grace,
                        .transport_memory = AvailableMemory() / 4,
                        .loops = loops,
                        .max_message_bytes = config.max_message_bytes,
                        .max_concurrent_streams = config.max_concurrent_streams},
                       environment, std::move(methods), pool, init_thread);
  if (!started.ok()) return started.status();
  RpcServer& rpc = **started;
  if (control.has_value()) {
    if (absl::Status status = control->Start(pool, init_thread); !status.ok()) return status;
  }
  LoadReport report(catalog, *std::move(ready), config.ready, rpc.health(), registry);
  if (absl::Status status = WritePort(config.port_file, rpc.port()); !status.ok()) return status;
  Log(LogLevel::kInfo, "listening",
      {{"address", config.listen},
       {"port", rpc.port()},
       {"workers", workers},
       {"loops", loops},
       {"kernels", KernelSetName(BestKernelSet())}});

  const std::string unpack_dir = UnpackDir(config);
  {
    const RunnerResources runner_resources = {
        .pool = pool,
        .reaper = reaper,
        .clock = clock,
        .memory = memory_plan,
        .load =
            [&](const ServedVersion& version) {
              init_thread();
              return LoadModel(version, threads, unpack_dir);
            },
        .observer =
            [&](const ServedVersion& version) { return runner_metrics.ForVersion(version.model(), version.number()); },
        .gauge = &model_memory,
        .loop_bound = kMaxInlineCost};
    const GeneratorResources generator_resources = {.pool = pool,
                                                    .reaper = reaper,
                                                    .intra_op_threads = config.intra_op_threads,
                                                    .clock = clock,
                                                    .memory = memory_plan,
                                                    .backends = Backends(),
                                                    .observer = [&](const ServedVersion& version) {
                                                      return generator_metrics.ForVersion(version.model(),
                                                                                          version.number());
                                                    }};
    ModelManager manager(
        {.repository = config.model_repository,
         .backends = Backends(),
         .control = ControlOf(config),
         .interval = TimeLimit(config.repository_poll_interval),
         .settle = absl::ToChronoNanoseconds(config.repository_settle_time),
         .idle_unload = absl::ToChronoNanoseconds(config.idle_unload)},
        repository->models, catalog,
        [&](ServedVersion& version, const std::atomic<bool>& stopping,
            LoadFindings& findings) -> absl::StatusOr<Servable> {
          if (version.config().generator.has_value()) return LoadGenerator(version, generator_resources, stopping);
          return LoadRunner(version, runner_resources, stopping, findings);
        },
        report, reaper);
    const absl::Cleanup no_reload = [&signals, &memory_plan] {
      signals.OnReload(nullptr);
      memory_plan.OnRoom(nullptr);
    };
    if (config.model_control == "poll") {
      signals.OnReload([&manager] { manager.Reload(); });
      memory_plan.OnRoom([&manager] {
        Log(LogLevel::kInfo, "there is memory again: trying once more what could not be loaded");
        manager.Reload();
      });
    }

    signals.WaitForStop();
    rpc.health().SetNotServing();
    Log(LogLevel::kInfo, "draining", {{"in_flight", environment.accepted - environment.ended}});
    absl::SleepFor(config.drain_delay);
    rpc.Drain(config.drain_grace);
    if (control.has_value()) control->Drain();
    const TimePoint until = clock.Now() + absl::ToChronoNanoseconds(kLastRun);
    if (!manager.StopBy(until) || !pool.StopBy(until)) LeaveNow(**tracer, environment);
  }
  pool.Stop();
  rpc.Stop();
  if (control.has_value()) control->Stop();
  if (!(*tracer)->Shutdown(absl::Seconds(5)).ok()) Log(LogLevel::kWarning, "some spans could not be exported");
  Log(LogLevel::kInfo, "stopped",
      {{"calls_accepted", environment.accepted.load()}, {"calls_ended", environment.ended.load()}});
  return absl::OkStatus();
}

}  // namespace predictd
