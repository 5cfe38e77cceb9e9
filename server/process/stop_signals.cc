#include "server/process/stop_signals.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/telemetry/log.h"

namespace predictd {

struct StopSignals::State {
  enum class Phase { kStarting, kServing, kStopping };

  sigset_t taken;
  Mutex mutex;
  CondVar changed;
  Phase phase ABSL_GUARDED_BY(mutex) = Phase::kStarting;

  std::function<void()> reload ABSL_GUARDED_BY(mutex);

  void OnStop(int signal);
  bool OnHangUp();
  [[noreturn]] void Run();
};

void StopSignals::State::OnStop(int signal) {
  const LogField name{"signal", sigabbrev_np(signal)};
  Phase before;
  {
    MutexLock lock(mutex);
    before = phase;
    if (phase == Phase::kServing) phase = Phase::kStopping;
  }
  switch (before) {
    case Phase::kStarting:
      Log(LogLevel::kInfo, "stopped before it listened", {name});
      ShutdownLogging();
      _exit(0);
    case Phase::kServing:
      changed.NotifyOne();
      return;
    case Phase::kStopping:
      // Whoever asks twice does not want to wait.
      _exit(128 + signal);
  }
}

bool StopSignals::State::OnHangUp() {
  const MutexLock lock(mutex);
  if (reload == nullptr) return false;
  reload();
  return true;
}

void StopSignals::State::Run() {
  while (true) {
    int signal = 0;
    if (sigwait(&taken, &signal) != 0) continue;
    if (signal == SIGTERM || signal == SIGINT) {
      OnStop(signal);
    } else if (signal == SIGHUP && OnHangUp()) {
      Log(LogLevel::kInfo, "reading the model repository again", {{"signal", sigabbrev_np(signal)}});
    } else {
      Log(LogLevel::kInfo, "a signal is ignored: there is nothing to reload", {{"signal", sigabbrev_np(signal)}});
    }
  }
}

// The state is never freed, because its thread is never joined.
StopSignals::StopSignals() : state_(*new State) {
  sigemptyset(&state_.taken);
  for (const int taken : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&state_.taken, taken);
  // The mask is set rather than extended, because the process may have been started with other signals blocked.
  pthread_sigmask(SIG_SETMASK, &state_.taken, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  std::thread([&state = state_] { state.Run(); }).detach();
}

void StopSignals::BeginServing() {
  MutexLock lock(state_.mutex);
  state_.phase = State::Phase::kServing;
}

void StopSignals::OnReload(std::function<void()> reload) {
  const MutexLock lock(state_.mutex);
  state_.reload = std::move(reload);
}

void StopSignals::WaitForStop() {
  MutexLock lock(state_.mutex);
  while (state_.phase != State::Phase::kStopping) state_.changed.Wait(state_.mutex);
}

}  // namespace predictd
