#include "server/config/server_config.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/config/listen_address.h"
#include "server/config/option_sources.h"
#include "server/config/option_table.h"
#include "server/config/otel_variables.h"
#include "server/config/value_parser.h"

namespace predictd {
namespace {

constexpr char kFooter[] =
    "Every option is also an environment variable (PREDICTD_LISTEN for --listen) and a key in the TOML file given "
    "with\n"
    "--config (listen = \"0.0.0.0:8500\"). Flags beat the environment, which beats the file. What is no option, in any "
    "of\n"
    "them, is an error. OpenTelemetry's variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, ...) hold where\n"
    "nothing else is said of traces.\n"
    "Durations are like 250ms, 30s, 5m; more than a century is a century. Sizes are in bytes or like 64MiB.\n"
    "Signals: SIGTERM and SIGINT drain: health says NOT_SERVING, running calls end, exit code 0. A second one ends at\n"
    "once, with exit code 128 + its number. Before the server listens, the first ends it at once, with exit code 0.\n"
    "SIGHUP reads the model repository again, with --model-control poll; SIGUSR1 and SIGUSR2 are ignored.\n"
    "Exit codes: 0 stopped by a signal, 1 could not start or a checked model is wrong, 2 bad options.";

std::string CheckAddress(const std::string& text) {
  return std::string(ParseListenAddress(text).status().message());
}

std::string CheckMetricsAddress(const std::string& text) {
  if (text.empty()) return "";
  const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
  if (!address.ok()) return CheckAddress(text);
  return address->kind == ListenAddress::Kind::kUnix ? "expected an IP address or a host, and a port" : "";
}

std::string CheckControlAddress(const std::string& text) {
  return text.empty() ? "" : CheckAddress(text);
}

std::string CheckNames(const std::string& text, absl::string_view also) {
  const std::vector<std::string> names = absl::StrSplit(text, ',');
  const bool blank = std::any_of(names.begin(), names.end(),
                                 [](const std::string& name) { return absl::StripAsciiWhitespace(name).empty(); });
  return blank ? absl::StrCat("expected ", also, " or names of models with commas between, got '", text, "'") : "";
}

std::string CheckLoadModel(const std::string& text) {
  return text.empty() ? "" : CheckNames(text, "*");
}

std::string CheckReady(const std::string& text) {
  return CheckNames(text, "any, all");
}

std::string CheckPollInterval(const std::string& text) {
  const std::optional<absl::Duration> interval = ParseLengthOfTime(text);
  if (!interval.has_value() || *interval >= absl::Milliseconds(100)) return "";
  return absl::StrCat("'", text, "' is less than 100ms");
}

std::string CheckIdleUnload(const std::string& text) {
  const std::optional<absl::Duration> time = ParseLengthOfTime(text);
  if (!time.has_value() || *time == absl::ZeroDuration() || *time >= absl::Seconds(1)) return "";
  return absl::StrCat("'", text, "' is less than 1s, and not 0");
}

// The server's end waits for a batch, within its last five seconds, so a batch must not take longer.
std::string CheckTraceTimeout(const std::string& text) {
  const std::optional<absl::Duration> timeout = ParseLengthOfTime(text);
  if (!timeout.has_value() || (*timeout >= absl::Milliseconds(1) && *timeout <= absl::Seconds(4))) return "";
  return absl::StrCat("'", text, "' is not in range 1ms to 4s");
}

void AddOptions(OptionTable& options, ServerConfig& config) {
  options.Group("Models");
  options.Add("model-repository", "DIR", config.model_repository, "Folder with a folder for each model (required)");
  options.Add("check-model", "DIR", config.check_model, "Load and check a model without serving it, and exit");
  options.Add("check-model-files", "DIR", config.check_model_files,
              "Check a model's folder without loading the model, and exit");
  options.AddFiles("operator-library", config.operator_libraries, "Library with operators that models use");
  options.Add("unpack-dir", "DIR", config.unpack_dir,
              "Where .pt2 packages are unpacked to be loaded; default: $TMPDIR or /tmp");
  options.Add("ready", "NAMES", config.ready, "Healthy once these models are loaded: any, all or NAME,NAME,...")
      ->check(CheckReady);
  options.AddChoice("model-control", config.model_control, {"none", "poll", "explicit"},
                    "Follow the repository (poll) or calls (explicit), or neither (none)");
  options
      .Add("load-model", "NAMES", config.load_model,
           "What to load at the start, with --model-control explicit: NAME,NAME or *")
      ->check(CheckLoadModel);
  options
      .AddDuration("repository-poll-interval", config.repository_poll_interval,
                   "How often to look for changes that the system does not tell of")
      ->check(CheckPollInterval);
  options.AddDuration("repository-settle-time", config.repository_settle_time,
                      "How long a model's folder must be still before it is read");
  options
      .AddDuration("idle-unload", config.idle_unload,
                   "Unload a model that is idle for so long, until it is needed; 0: never")
      ->check(CheckIdleUnload);

  options.Group("Network");
  options.Add("listen", "ADDRESS", config.listen, "Where gRPC listens, without transport security; port 0: a free one")
      ->check(CheckAddress);
  options
      .Add("control-listen", "ADDRESS", config.control_listen,
           "Where calls may change what is served: its own address, or that of --listen")
      ->check(CheckControlAddress);
  options.Add("control-port-file", "FILE", config.control_port_file, "File to write the port of --control-listen to");
  options.Add("port-file", "FILE", config.port_file, "File to write the gRPC port to, once it is bound");
  options.Add("metrics-listen", "ADDRESS", config.metrics_listen, "Where Prometheus finds /metrics; empty: nowhere")
      ->check(CheckMetricsAddress);
  options.Add("metrics-port-file", "FILE", config.metrics_port_file, "File to write the port of the metrics to");
  options.AddSize("max-message-bytes", config.max_message_bytes, 1024, int64_t{2} << 30,
                  "Largest request, 1KiB to 2GiB");
  options
      .Add("max-connections", "N", config.max_connections, "Connections at a time; 0: half of the open files allowed")
      ->check(CLI::Range(0, 1 << 24));
  options
      .Add("max-connections-per-peer", "N", config.max_connections_per_peer,
           "Of these from one address, or one /64 of IPv6; 0: no limit")
      ->check(CLI::Range(0, 1 << 24));
  options.Add("max-concurrent-streams", "N", config.max_concurrent_streams, "Calls at a time on one connection")
      ->check(CLI::Range(1, 1 << 20));
  options.AddSize("request-memory", config.request_memory, 0, int64_t{1} << 50,
                  "What all calls may hold, with requests and answers; 0: 1/16 of the memory");
  options.AddChoice("shared-memory", config.shared_memory, {"none", "system"},
                    "Whether callers may have tensors in POSIX shared memory (system)");
  options
      .Add("max-endless-calls", "N", config.max_endless_calls,
           "Watches of health and models, and reflection streams, at a time")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  options
      .Add("max-request-streams", "N", config.max_request_streams, "Streams of requests (ModelStreamInfer) at a time")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));

  options.Group("Threads");
  options.Add("loops", "N", config.loops, "Event loops; 0: half the cores")->check(CLI::Range(0, 256));
  options.Add("workers", "N", config.workers, "Threads that run models; 0: cores / intra-op-threads")
      ->check(CLI::Range(0, 1024));
  options.Add("intra-op-threads", "N", config.intra_op_threads, "Threads that one run of a model uses")
      ->check(CLI::Range(1, 1024));

  options.Group("Time");
  options.AddDuration("default-deadline", config.default_deadline,
                      "For calls, and messages of streams, that bring none; 0: none");
  options.AddDuration("max-deadline", config.max_deadline, "The most that any call gets; 0: no limit");
  options.AddDuration("stream-stall-timeout", config.stream_stall_timeout,
                      "How long an answer waits for its reader; 0: for ever");
  options.AddDuration("receive-timeout", config.receive_timeout,
                      "How long a request may take to arrive after its headers; 0: for ever");
  options.AddSize("min-reader-rate", config.min_reader_rate, 0, int64_t{1} << 40,
                  "Bytes a second that a reader must take while an answer waits; 0: any");
  options.AddDuration("connection-idle-timeout", config.connection_idle_timeout,
                      "How long a connection may be without calls; 0: for ever");
  options.AddDuration("max-connection-age", config.max_connection_age,
                      "When a connection is told to go, give or take a tenth; 0: never");
  options.AddDuration("max-connection-age-grace", config.max_connection_age_grace,
                      "How long its calls may go on then; 0: for ever");
  options.AddDuration("drain-delay", config.drain_delay, "From NOT_SERVING until new calls are refused");
  options.AddDuration("drain-grace", config.drain_grace, "From then until running calls are stopped");

  options.Group("Streams");
  options.Add("stream-window", "N", config.stream_window, "Chunks of a stream that run or wait to be sent")
      ->check(CLI::Range(1, 1024));

  options.Group("Logs");
  options.AddChoice("log-level", config.log_level, {"debug", "info", "warn", "error"}, "debug, info, warn or error");
  options.AddChoice("log-format", config.log_format, {"text", "json"}, "text or json");
  options.AddChoice("log-requests", config.log_requests, {"none", "errors", "all"},
                    "A line for each call: none, errors or all");
  options.AddChoice("server-timing", config.server_timing, {"none", "all"},
                    "Which answers have a trailer that says where the time went: none or all");

  options.Group("Traces");
  options.AddChoice("trace-exporter", config.trace_exporter, {"none", "otlp", "file"},
                    "none, otlp (gRPC) or file (JSON lines)");
  options.Add("trace-endpoint", "URL", config.trace_endpoint, "Where the OTLP receiver listens");
  options.Add("trace-file", "FILE", config.trace_file, "The file for --trace-exporter file");
  options.AddSize("trace-file-max-bytes", config.trace_file_max_bytes, int64_t{1} << 20, int64_t{1} << 40,
                  "When it is full, it becomes FILE.1; 1MiB to 1TiB");
  options.Add("trace-file-keep", "N", config.trace_file_keep, "Full files to keep, FILE.1 (the latest) to FILE.N")
      ->check(CLI::Range(0, 1000));
  options
      .Add("trace-sample-ratio", "RATIO", config.trace_sample_ratio, "Share of calls without a parent span to trace")
      ->check(CLI::Range(0.0, 1.0));
  options
      .Add("trace-max-forced-per-second", "N", config.trace_max_forced_per_second,
           "Calls traced because their traceparent says so; the ratio samples more")
      ->check(CLI::Range(0, 1000000));
  options
      .AddDuration("trace-timeout", config.trace_timeout, "How long the OTLP receiver may take for a batch; 1ms to 4s")
      ->check(CheckTraceTimeout);
}

// --help and --version take precedence over everything else, whether that is right or wrong.
std::optional<std::string> AskedFor(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h" || argument == "--version") return argument;
  }
  return std::nullopt;
}

// Returns every option that is set as a flag, with the last argument first.
std::vector<std::string> ReversedFlags(const std::map<std::string, OptionKind>& options,
                                       const std::vector<std::string>& arguments, std::vector<std::string>& warnings) {
  absl::StatusOr<std::map<std::string, std::string>> settings = GatherOptions(options, arguments, environ);
  if (!settings.ok()) throw CLI::ParseError(std::string(settings.status().message()), 2);
  warnings = AddOtelSettings(environ, *settings);
  std::vector<std::string> flags;
  for (const auto& [name, value] : *settings) flags.insert(flags.end(), {value, "--" + name});
  return flags;
}

}  // namespace

std::optional<ServerConfig> ParseServerConfig(int argc, const char* const* argv, int& exit_code) {
  ServerConfig config;
  CLI::App app("predictd serves LibTorch models (TorchScript and AOTInductor) over gRPC.", "predictd");
  app.set_version_flag("--version", std::string("predictd ") + PREDICTD_VERSION);
  app.footer(kFooter);
  app.get_formatter()->column_width(44);
  OptionTable options(app);
  std::string config_file;
  options.Add(kConfigOption, "FILE", config_file, "TOML file with any of these options");
  AddOptions(options, config);
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const std::optional<std::string> asked = AskedFor(arguments);
    app.parse(asked.has_value() ? std::vector<std::string>{*asked}
                                : ReversedFlags(options.kinds(), arguments, config.warnings));
    if (config.model_repository.empty() && config.check_model.empty() && config.check_model_files.empty()) {
      throw CLI::RequiredError("--model-repository");
    }
    if (config.trace_exporter == "file" && config.trace_file.empty()) {
      throw CLI::RequiredError("--trace-file (for --trace-exporter file)");
    }
    if (!config.load_model.empty() && config.model_control != "explicit") {
      throw CLI::RequiredError("--model-control explicit (for --load-model)");
    }
  } catch (const CLI::ParseError& error) {
    // CLI11 prints the help for --help, and one line for an error.
    exit_code = app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return config;
}

}  // namespace predictd
