#include "server/config/server_config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr char kFooter[] =
    "Every option is also an environment variable (PREDICTD_LISTEN for --listen) and a key in the TOML file given "
    "with\n"
    "--config (listen = \"0.0.0.0:8500\"). Flags beat the environment, which beats the file.\n"
    "Durations are like 250ms, 30s, 5m. Sizes are in bytes or like 64MiB.\n"
    "SIGTERM and SIGINT drain: health says NOT_SERVING, running calls end, exit code 0. A second signal ends at once.\n"
    "Exit codes: 0 after a drain, 1 could not start, 2 bad options.";

std::string EnvironmentName(std::string flag) {
  std::replace(flag.begin(), flag.end(), '-', '_');
  std::transform(flag.begin(), flag.end(), flag.begin(), [](unsigned char c) { return std::toupper(c); });
  return "PREDICTD_" + flag;
}

class OptionTable {
 public:
  explicit OptionTable(CLI::App& app) : app_(app) {}

  template <class T>
  CLI::Option* Add(const std::string& name, T& value, const std::string& help) {
    return app_.add_option("--" + name, value, help)
        ->envname(EnvironmentName(name))
        ->capture_default_str()
        ->group(group_);
  }

  CLI::Option* AddDuration(const std::string& name, absl::Duration& value, const std::string& help) {
    const auto parse = [name, &value](const std::string& text) {
      absl::Duration parsed;
      if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration() || parsed == absl::InfiniteDuration()) {
        throw CLI::ValidationError("--" + name, "expected a duration like 250ms or 30s, got '" + text + "'");
      }
      value = parsed;
    };
    return app_.add_option_function<std::string>("--" + name, parse, help)
        ->envname(EnvironmentName(name))
        ->default_str(absl::FormatDuration(value))
        ->type_name("DURATION")
        ->group(group_);
  }

  void Group(const std::string& group) { group_ = group; }

 private:
  CLI::App& app_;
  std::string group_;
};

void AddOptions(CLI::App& app, ServerConfig& config) {
  OptionTable options(app);
  options.Group("Models");
  options.Add("model-repository", config.model_repository, "Folder with a folder for each model")
      ->required()
      ->type_name("DIR");

  options.Group("Network");
  options.Add("listen", config.listen, "Address for gRPC, without transport security; port 0 picks a free one");
  options.Add("port-file", config.port_file, "File to write the gRPC port to, once it is bound")->type_name("FILE");
  options.Add("metrics-listen", config.metrics_listen, "Address for Prometheus, at /metrics; empty: none");
  options.Add("metrics-port-file", config.metrics_port_file, "File to write the port of the metrics to")
      ->type_name("FILE");
  options.Add("max-message-bytes", config.max_message_bytes, "Largest request")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(CLI::Range(int64_t{1024}, int64_t{2} << 30))
      ->type_name("SIZE");
  options.Add("max-concurrent-streams", config.max_concurrent_streams, "Calls at a time on one connection")
      ->check(CLI::Range(1, 1 << 20));

  options.Group("Threads");
  options.Add("loops", config.loops, "Event loops; 0: half the cores")->check(CLI::Range(0, 256));
  options.Add("workers", config.workers, "Threads that run models; 0: cores / intra-op-threads")
      ->check(CLI::Range(0, 1024));
  options.Add("intra-op-threads", config.intra_op_threads, "Threads that one run of a model uses")
      ->check(CLI::Range(1, 1024));

  options.Group("Time");
  options.AddDuration("default-deadline", config.default_deadline, "For calls that bring none; 0: none");
  options.AddDuration("max-deadline", config.max_deadline, "The most that any call gets; 0: no limit");
  options.AddDuration("stream-stall-timeout", config.stream_stall_timeout, "How long a stream waits for its reader");
  options.AddDuration("drain-delay", config.drain_delay, "From NOT_SERVING until new calls are refused");
  options.AddDuration("drain-grace", config.drain_grace, "From then until running calls are stopped");

  options.Group("Streams");
  options.Add("stream-window", config.stream_window, "Chunks of a stream that run or wait to be sent")
      ->check(CLI::Range(1, 1024));

  options.Group("Logs");
  options.Add("log-level", config.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  options.Add("log-format", config.log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  options.Add("log-requests", config.log_requests, "A line for each call: none, errors or all")
      ->check(CLI::IsMember({"none", "errors", "all"}));

  options.Group("Traces");
  options.Add("trace-exporter", config.trace_exporter, "none, otlp (gRPC) or file (JSON lines)")
      ->check(CLI::IsMember({"none", "otlp", "file"}));
  options.Add("trace-endpoint", config.trace_endpoint, "Where the OTLP receiver listens")->type_name("URL");
  options.Add("trace-file", config.trace_file, "The file for --trace-exporter file")->type_name("FILE");
  options
      .Add("trace-sample-ratio", config.trace_sample_ratio, "Share of the calls without a parent span that are traced")
      ->check(CLI::Range(0.0, 1.0));
}

}  // namespace

std::optional<ServerConfig> ParseServerConfig(int argc, const char* const* argv, int& exit_code) {
  ServerConfig config;
  CLI::App app("predictd serves LibTorch models (TorchScript and AOTInductor) over gRPC.", "predictd");
  app.set_version_flag("--version", std::string("predictd ") + PREDICTD_VERSION);
  app.set_config("--config", "", "TOML file with any of these options")->envname("PREDICTD_CONFIG")->type_name("FILE");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.footer(kFooter);
  app.get_formatter()->column_width(44);
  AddOptions(app, config);
  try {
    app.parse(argc, argv);
    if (config.trace_exporter == "file" && config.trace_file.empty()) {
      throw CLI::RequiredError("--trace-file (for --trace-exporter file)");
    }
  } catch (const CLI::ParseError& error) {
    // CLI11 prints the help for --help, and one line for what is wrong.
    exit_code = app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return config;
}

}  // namespace predictd
