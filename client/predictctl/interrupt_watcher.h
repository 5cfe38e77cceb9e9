// Ctrl-C.
#ifndef PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_
#define PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_

#include <signal.h>

#include <atomic>
#include <thread>

#include "client/predictctl/interrupts.h"

namespace predictd {

// While it lives, SIGINT and SIGTERM cancel what `interrupts` are aimed at, and end the process at once if there is
// nothing (left) to cancel. Owned by main; made before any other thread, as these inherit that they do not take the
// signals.
class InterruptWatcher {
 public:
  explicit InterruptWatcher(Interrupts& interrupts);
  ~InterruptWatcher();
  InterruptWatcher(const InterruptWatcher&) = delete;
  InterruptWatcher& operator=(const InterruptWatcher&) = delete;

 private:
  void Watch();

  Interrupts& interrupts_;
  sigset_t signals_;
  sigset_t old_mask_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_
