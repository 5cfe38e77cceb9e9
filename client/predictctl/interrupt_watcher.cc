#include "client/predictctl/interrupt_watcher.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "absl/time/clock.h"
#include "client/predictctl/exit_code.h"

namespace predictd {
namespace {

// How long a call that SIGTERM has cancelled may take to end and to say so.
constexpr absl::Duration kGrace = absl::Seconds(2);

}  // namespace

InterruptWatcher::InterruptWatcher(Interrupts& interrupts) : interrupts_(interrupts) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, &old_mask_);
  thread_ = std::thread(&InterruptWatcher::Watch, this);
}

InterruptWatcher::~InterruptWatcher() {
  stopping_ = true;
  pthread_kill(thread_.native_handle(), SIGINT);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
}

void InterruptWatcher::Watch() {
  absl::Time end = absl::InfiniteFuture();
  while (true) {
    const int signal = NextSignal(end);
    if (stopping_) return;
    if (signal == 0) _exit(kExitInterrupted);
    const bool cancelling = signal == SIGTERM ? interrupts_.Terminate() : interrupts_.Interrupt();
    if (!cancelling) _exit(kExitInterrupted);
    if (signal == SIGTERM) end = absl::Now() + kGrace;
  }
}

int InterruptWatcher::NextSignal(absl::Time end) const {
  while (true) {
    const timespec left = absl::ToTimespec(std::max(end - absl::Now(), absl::ZeroDuration()));
    const int signal =
        end == absl::InfiniteFuture() ? sigwaitinfo(&signals_, nullptr) : sigtimedwait(&signals_, nullptr, &left);
    if (signal > 0) return signal;
    if (errno == EAGAIN) return 0;
  }
}

}  // namespace predictd
