#include <absl/synchronization/mutex.h>
#include <sys/resource.h>

#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/config/server_config.h"
#include "server/model_check.h"
#include "server/process/shared_library.h"
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
  options.capture_stderr = true;
  return options;
}

// Raises the limit of open files: each connection is an open file, and the limit that a process starts with is meant
// for programs that use select.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Makes the relative paths among the options absolute.
absl::Status MakePathsAbsolute(ServerConfig& config) {
  const std::pair<const char*, std::string*> paths[] = {{"--model-repository", &config.model_repository},
                                                        {"--port-file", &config.port_file},
                                                        {"--metrics-port-file", &config.metrics_port_file},
                                                        {"--trace-file", &config.trace_file},
                                                        {"--unpack-dir", &config.unpack_dir}};
  for (const auto& [option, path] : paths) {
    if (absl::Status status = MakeAbsolute(*path); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(option, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

// The operators that models call must be there before the models are read.
absl::Status LoadOperators(ServerConfig& config) {
  for (std::string& file : config.operator_libraries) {
    absl::Status status = MakeAbsolute(file);
    if (status.ok()) status = LoadSharedLibrary(file);
    if (status.ok()) continue;
    return absl::Status(status.code(), absl::StrCat("--operator-library: ", status.message()));
  }
  return absl::OkStatus();
}

absl::Status Start(ServerConfig& config, StopSignals& signals) {
  if (absl::Status status = MakePathsAbsolute(config); !status.ok()) return status;
  if (WorkingDirectoryWasRemoved()) Log(LogLevel::kWarning, "the working directory has been removed: working in /");
  return RunServer(config, signals);
}

// Does what must come before the initialisers of the libraries, which may open files and need a working directory.
void BeforeLibraries(int /*argc*/, char** /*argv*/, char** /*environment*/) {
  OpenStandardDescriptors();
  LeaveRemovedWorkingDirectory();
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**, char**) = BeforeLibraries;

// Prints to standard output or standard error what a check found. Returns the exit code.
int Print(const ModelCheck& check) {
  std::cout << check.found << std::flush;
  std::cerr << check.wrong;
  return check.wrong.empty() ? 0 : 1;
}

int CheckFiles(const std::string& folder) {
  const absl::StatusOr<std::string> found = CheckModelFiles(folder);
  if (found.ok()) return Print({.found = absl::StrCat(folder, ": ", *found, "\n")});
  return Print({.wrong = absl::StrCat(folder, ": ", found.status().message(), "\n")});
}

// Has a model loaded and checked. What libraries write meanwhile is no part of the result.
int Check(ServerConfig& config) {
  LogOptions options = MakeLogOptions(config);
  if (options.level == LogLevel::kInfo) options.level = LogLevel::kWarning;
  InitLogging(options);
  ModelCheck check;
  const absl::Status operators = LoadOperators(config);
  if (operators.ok()) {
    check = CheckModel(config);
  } else {
    check.wrong = absl::StrCat(operators.message(), "\n");
  }
  ShutdownLogging();
  const int result = Print(check);
  return operators.ok() ? result : 2;
}

int Main(int argc, const char* const* argv) {
  absl::Status status;
  int failed = 1;
  try {
    StopSignals signals;
    int exit_code = 0;
    std::optional<ServerConfig> config = ParseServerConfig(argc, argv, exit_code);
    if (!config.has_value()) return exit_code;
    if (!config->check_model_files.empty()) return CheckFiles(config->check_model_files);
    if (!config->check_model.empty()) return Check(*config);
    RaiseFileLimit();
    // gRPC locks absl::Mutex on every call, and Debian's build looks for deadlocks each time.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    InitLogging(MakeLogOptions(*config));
    status = LoadOperators(*config);
    if (!status.ok()) failed = 2;
    if (status.ok()) status = Start(*config, signals);
  } catch (const std::system_error& error) {
    // The error that is thrown for want of a thread only says that a resource is unavailable.
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
  return status.ok() ? 0 : failed;
}

}  // namespace
}  // namespace predictd

int main(int argc, char** argv) {
  return predictd::Main(argc, argv);
}
