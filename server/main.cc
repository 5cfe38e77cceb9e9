#include <absl/synchronization/mutex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <thread>

#include "server/config/server_config.h"
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

int Main(int argc, const char* const* argv) {
  int exit_code = 0;
  const std::optional<ServerConfig> config = ParseServerConfig(argc, argv, exit_code);
  if (!config.has_value()) return exit_code;

  // Blocked before the first thread starts, so that all threads block them and only sigwait takes them.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  RaiseFileLimit();

  // gRPC locks absl::Mutex on every call, and Debian's build looks for deadlocks at each.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  InitLogging(MakeLogOptions(*config));

  const absl::Status status = RunServer(*config, [&stop_signals] {
    int signal = 0;
    sigwait(&stop_signals, &signal);
    // Whoever asks twice does not want to wait.
    std::thread([&stop_signals] {
      int again = 0;
      sigwait(&stop_signals, &again);
      _exit(128 + again);
    }).detach();
  });
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
