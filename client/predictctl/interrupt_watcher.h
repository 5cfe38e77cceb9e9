// Ctrl-C.
#ifndef PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_
#define PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_

#include <signal.h>

#include <atomic>
#include <memory>
#include <thread>

#include "client/call_control.h"

namespace predictd {

// While it lives, the first SIGINT or SIGTERM cancels the calls of `control`, and the second one ends the process at
// once. Owned by main; made before any other thread, as these inherit that they do not take the signals.
class InterruptWatcher {
 public:
  explicit InterruptWatcher(std::shared_ptr<CallControl> control);
  ~InterruptWatcher();
  InterruptWatcher(const InterruptWatcher&) = delete;
  InterruptWatcher& operator=(const InterruptWatcher&) = delete;

 private:
  void Watch();

  const std::shared_ptr<CallControl> control_;
  sigset_t signals_;
  sigset_t old_mask_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_
