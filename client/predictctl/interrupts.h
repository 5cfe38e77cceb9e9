// What Ctrl-C stops.
#ifndef PREDICTD_CLIENT_PREDICTCTL_INTERRUPTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_INTERRUPTS_H_

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/call_control.h"

namespace predictd {

// Directs interrupts to the calls that they are meant for. Owned by main; the command says what they are for,
// InterruptWatcher's thread interrupts, and so may any other thread.
class Interrupts {
 public:
  // From now on interrupts cancel these calls. If null, as at first, there is nothing to cancel, and an interrupt ends
  // the process.
  void CancelOnInterrupt(std::shared_ptr<CallControl> control);

  // From now on an interrupt calls `clear`, on the thread that interrupts, and ends nothing: what a person has typed at
  // a prompt is dropped. `clear` must not call this object; it is no longer running when the next call of these two
  // returns.
  void DropPromptOnInterrupt(std::function<void()> clear);

  // Call this on Ctrl-C. False if there is nothing to cancel or it has already been cancelled: then the process is to
  // end at once.
  bool Interrupt();

  // The same if the whole process is to end, and not only what it is doing.
  bool Terminate();

  // Whether Terminate has been called.
  bool terminated() const;

 private:
  bool Cancel() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::shared_ptr<CallControl> control_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> clear_ ABSL_GUARDED_BY(mutex_);
  bool terminated_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_INTERRUPTS_H_
