#include "client/predictctl/interrupt_watcher.h"

#include <unistd.h>

#include "client/predictctl/exit_code.h"

namespace predictd {

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
  int signal = 0;
  while (sigwait(&signals_, &signal) == 0 && !stopping_) {
    const bool cancelling = signal == SIGTERM ? interrupts_.Terminate() : interrupts_.Interrupt();
    if (!cancelling) _exit(kExitInterrupted);
  }
}

}  // namespace predictd
