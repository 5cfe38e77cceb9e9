#include <absl/synchronization/mutex.h>
#include <sys/resource.h>

#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/config/server_config.h"
#include "server/process/standard_descriptors.h"
#include "server/process/stop_signals.h"
#include "server/process/working_directory.h"
#include "server/server.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

LogOptions MakeLogOptions(const ServerConfig& config) {
  LogOptions options;
  options.format = config.log_format == "json" ? LogFormat::kJson : LogFormat::kText;
  if (config.log_level == "debug") options.level = LogLevel::kDebug;
  if (config.log_level == "warn") options.level = LogLevel::kWarning;
  if (config.log_level == "error") options.level = LogLevel::kError;
  return options;
}

// A connection is an open file, and the limit that a process starts with is meant for programs that use select.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// The paths among the options, each with its name. Relative ones are made absolute.
absl::Status MakePathsAbsolute(ServerConfig& config) {
  const std::pair<const char*, std::string*> paths[] = {{"--model-repository", &config.model_repository},
                                                        {"--port-file", &config.port_file},
                                                        {"--metrics-port-file", &config.metrics_port_file},
                                                        {"--trace-file", &config.trace_file}};
  for (const auto& [option, path] : paths) {
    if (absl::Status status = MakeAbsolute(*path); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(option, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status Start(ServerConfig& config, StopSignals& signals) {
  if (absl::Status status = MakePathsAbsolute(config); !status.ok()) return status;
  if (WorkingDirectoryWasRemoved()) Log(LogLevel::kWarning, "the working directory has been removed: working in /");
  return RunServer(config, signals);
}

// What must come before the initialisers of the libraries, which may open files, and want a working directory.
void BeforeLibraries(int /*argc*/, char** /*argv*/, char** /*environment*/) {
  OpenStandardDescriptors();
  LeaveRemovedWorkingDirectory();
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**, char**) = BeforeLibraries;

int Main(int argc, const char* const* argv) {
  absl::Status status;
  try {
    StopSignals signals;
    int exit_code = 0;
    std::optional<ServerConfig> config = ParseServerConfig(argc, argv, exit_code);
    if (!config.has_value()) return exit_code;
    RaiseFileLimit();
    // gRPC locks absl::Mutex on every call, and Debian's build looks for deadlocks at each.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    InitLogging(MakeLogOptions(*config));
    status = Start(*config, signals);
  } catch (const std::system_error& error) {
    // What is thrown for want of a thread says only that a resource is unavailable.
    const bool thread = error.code() == std::errc::resource_unavailable_try_again;
    status = absl::ResourceExhaustedError(absl::StrCat(thread ? "a thread could not be started: " : "", error.what()));
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  if (!status.ok()) {
    const absl::string_view cause = status.message();
    Log(LogLevel::kError, "cannot start", {{"cause", std::string_view(cause.data(), cause.size())}});
  }
  ShutdownLogging();
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace predictd

int main(int argc, char** argv) {
  return predictd::Main(argc, argv);
}
