// Ctrl-C.
#ifndef PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_
#define PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_

#include <signal.h>

#include <atomic>
#include <thread>

#include "absl/time/time.h"
#include "client/predictctl/interrupts.h"

namespace predictd {

// While it lives, SIGINT and SIGTERM cancel the calls at which `interrupts` are aimed, and end the process at once if
// there is nothing (left) to cancel. After SIGTERM the process also ends, after a few seconds, if it has not ended by
// itself: it may be writing to a pipe that nobody reads. Owned by main, which must create it before any other thread,
// because new threads inherit the mask that blocks these signals.
class InterruptWatcher {
 public:
  explicit InterruptWatcher(Interrupts& interrupts);
  ~InterruptWatcher();
  InterruptWatcher(const InterruptWatcher&) = delete;
  InterruptWatcher& operator=(const InterruptWatcher&) = delete;

 private:
  void Watch();
  // The next signal, or 0 if none has come until `end`.
  int NextSignal(absl::Time end) const;

  Interrupts& interrupts_;
  sigset_t signals_;
  sigset_t old_mask_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INTERRUPT_WATCHER_H_
