// What Ctrl-C stops.
#ifndef PREDICTD_CLIENT_PREDICTCTL_INTERRUPTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_INTERRUPTS_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/call_control.h"

namespace predictd {

// Directs interrupts to the calls that they are meant for. Owned by main; the command aims, InterruptWatcher's thread
// interrupts, and any other may.
class Interrupts {
 public:
  // Until the next time, interrupts cancel these calls. Null: nothing, they end the process. So it is at first.
  void Aim(std::shared_ptr<CallControl> control);

  // Ctrl-C. False if there is nothing to cancel, or it has been cancelled already: then the process is to end at once.
  bool Interrupt();

  // The same for whoever wants the whole process to end, not only what it is doing.
  bool Terminate();

  // Whether Terminate has been called.
  bool terminated() const;

 private:
  bool Cancel() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::shared_ptr<CallControl> control_ ABSL_GUARDED_BY(mutex_);
  bool terminated_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INTERRUPTS_H_
