#include "server/config/server_config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <set>
#include <sstream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

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

// gRPC would take the port modulo 65536.
std::string CheckPort(const std::string& address) {
  uint64_t port = 0;
  const bool number = absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port);
  return number && port > 65535 ? absl::StrCat("port ", port, " is not in range 0 to 65535") : "";
}

// CLI::Range lets NaN pass.
std::string CheckRatio(const std::string& text) {
  double ratio = 0;
  const bool valid = absl::SimpleAtod(text, &ratio) && ratio >= 0 && ratio <= 1;
  return valid ? "" : absl::StrCat("Value ", text, " not in range 0 to 1");
}

// Adds options with help that shows `--name TYPE [default]`.
class OptionTable {
 public:
  explicit OptionTable(CLI::App& app) : app_(app) {}

  void Group(const std::string& group) { group_ = group; }

  template <class T>
  CLI::Option* Add(const std::string& name, const std::string& type, T& value, const std::string& help) {
    std::ostringstream text;
    text << value;
    return Describe(app_.add_option("--" + name, value, help), type, text.str());
  }

  CLI::Option* AddChoice(const std::string& name, std::string& value, const std::set<std::string>& choices,
                         const std::string& help) {
    return Add(name, "NAME", value, help)->check(CLI::IsMember(choices));
  }

  CLI::Option* AddDuration(const std::string& name, absl::Duration& value, const std::string& help) {
    const auto parse = [name, &value](const std::string& text) {
      absl::Duration parsed;
      if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration() || parsed == absl::InfiniteDuration()) {
        throw CLI::ValidationError("--" + name, "expected a duration like 250ms or 30s, got '" + text + "'");
      }
      value = parsed;
    };
    return Describe(app_.add_option_function<std::string>("--" + name, parse, help), "DURATION",
                    absl::FormatDuration(value));
  }

 private:
  CLI::Option* Describe(CLI::Option* option, const std::string& type, const std::string& value) {
    return option->option_text(value.empty() ? type : absl::StrCat(type, " [", value, "]"))->group(group_);
  }

  CLI::App& app_;
  std::string group_;
};

void AddOptions(CLI::App& app, ServerConfig& config) {
  OptionTable options(app);
  options.Group("Models");
  options.Add("model-repository", "DIR", config.model_repository, "Folder with a folder for each model (required)")
      ->required();

  options.Group("Network");
  options.Add("listen", "ADDRESS", config.listen, "Where gRPC listens, without transport security; port 0: a free one")
      ->check(CheckPort);
  options.Add("port-file", "FILE", config.port_file, "File to write the gRPC port to, once it is bound");
  options.Add("metrics-listen", "ADDRESS", config.metrics_listen, "Where Prometheus finds /metrics; empty: nowhere");
  options.Add("metrics-port-file", "FILE", config.metrics_port_file, "File to write the port of the metrics to");
  options.Add("max-message-bytes", "SIZE", config.max_message_bytes, "Largest request, 1KiB to 2GiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(CLI::Range(int64_t{1024}, int64_t{2} << 30));
  options.Add("max-concurrent-streams", "N", config.max_concurrent_streams, "Calls at a time on one connection")
      ->check(CLI::Range(1, 1 << 20));
  options
      .Add("request-memory", "SIZE", config.request_memory,
           "What all calls may hold, with requests and answers; 0: 1/16 of the memory")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 50));
  options.Add("max-endless-calls", "N", config.max_endless_calls, "Health watches and reflection streams at a time")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));

  options.Group("Threads");
  options.Add("loops", "N", config.loops, "Event loops; 0: half the cores")->check(CLI::Range(0, 256));
  options.Add("workers", "N", config.workers, "Threads that run models; 0: cores / intra-op-threads")
      ->check(CLI::Range(0, 1024));
  options.Add("intra-op-threads", "N", config.intra_op_threads, "Threads that one run of a model uses")
      ->check(CLI::Range(1, 1024));

  options.Group("Time");
  options.AddDuration("default-deadline", config.default_deadline, "For calls that bring none; 0: none");
  options.AddDuration("max-deadline", config.max_deadline, "The most that any call gets; 0: no limit");
  options.AddDuration("stream-stall-timeout", config.stream_stall_timeout,
                      "How long an answer waits for its reader; 0: for ever");
  options.AddDuration("receive-timeout", config.receive_timeout,
                      "How long a request may take to arrive after its headers; 0: for ever");
  options
      .Add("min-reader-rate", "SIZE", config.min_reader_rate,
           "Bytes a second that a reader must take while an answer waits; 0: any")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
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

  options.Group("Traces");
  options.AddChoice("trace-exporter", config.trace_exporter, {"none", "otlp", "file"},
                    "none, otlp (gRPC) or file (JSON lines)");
  options.Add("trace-endpoint", "URL", config.trace_endpoint, "Where the OTLP receiver listens");
  options.Add("trace-file", "FILE", config.trace_file, "The file for --trace-exporter file");
  options
      .Add("trace-sample-ratio", "RATIO", config.trace_sample_ratio, "Share of calls without a parent span to trace")
      ->check(CheckRatio);
}

// The command line, last argument first, with a flag for each option that only the environment sets. CLI11 could read
// the environment itself, but would let the file beat it.
std::vector<std::string> ReversedArguments(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::vector<std::string> from_environment;
  for (const CLI::Option* option : app.get_options()) {
    const std::string& name = option->get_lnames().front();
    const std::string flag = "--" + name;
    const char* value = std::getenv(EnvironmentName(name).c_str());
    const bool takes_value = option->get_items_expected_max() > 0;
    const bool given = std::any_of(arguments.begin(), arguments.end(), [&flag](const std::string& argument) {
      return argument == flag || absl::StartsWith(argument, flag + "=");
    });
    if (value != nullptr && takes_value && !given) from_environment.insert(from_environment.end(), {flag, value});
  }
  arguments.insert(arguments.begin(), from_environment.begin(), from_environment.end());
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

// CLI11 speaks of INI files and of what it could not parse.
std::string Explain(const CLI::ConfigError& error) {
  constexpr char kUnknown[] = "INI was not able to parse ";
  std::string what = error.what();
  if (what.rfind(kUnknown, 0) != 0) return what;
  // A table is reported as "name.++".
  return absl::StrCat("unknown key '", absl::StripSuffix(what.substr(sizeof(kUnknown) - 1), ".++"), "'");
}

}  // namespace

std::optional<ServerConfig> ParseServerConfig(int argc, const char* const* argv, int& exit_code) {
  ServerConfig config;
  CLI::App app("predictd serves LibTorch models (TorchScript and AOTInductor) over gRPC.", "predictd");
  app.set_version_flag("--version", std::string("predictd ") + PREDICTD_VERSION);
  app.set_config("--config", "", "TOML file with any of these options")->option_text("FILE");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.footer(kFooter);
  app.get_formatter()->column_width(44);
  AddOptions(app, config);
  try {
    app.parse(ReversedArguments(app, argc, argv));
    if (config.trace_exporter == "file" && config.trace_file.empty()) {
      throw CLI::RequiredError("--trace-file (for --trace-exporter file)");
    }
  } catch (const CLI::ConfigError& error) {
    std::cerr << "the file given with --config: " << Explain(error) << "; predictd --help lists the keys\n";
    exit_code = 2;
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    // CLI11 prints the help for --help, and one line for what is wrong.
    exit_code = app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return config;
}

}  // namespace predictd
