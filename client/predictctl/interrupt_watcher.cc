#include "client/predictctl/interrupt_watcher.h"

#include <unistd.h>

#include <utility>

#include "client/predictctl/exit_code.h"

namespace predictd {

InterruptWatcher::InterruptWatcher(std::shared_ptr<CallControl> control) : control_(std::move(control)) {
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
    if (control_->cancelled()) _exit(kExitInterrupted);
    control_->Cancel();
  }
}

}  // namespace predictd
