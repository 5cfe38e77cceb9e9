// A handle to stop calls from outside.
#ifndef PREDICTD_CLIENT_CALL_CONTROL_H_
#define PREDICTD_CLIENT_CALL_CONTROL_H_

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace grpc {
class ClientContext;
}

namespace predictd {

// Cancels every call that was started with it (CallOptions::control), those that run and those to come. Shared by who
// makes the calls and who stops them: another thread, or one that waits for a signal. Any thread may call it, but not a
// signal handler.
class CallControl {
 public:
  CallControl() = default;
  CallControl(const CallControl&) = delete;
  CallControl& operator=(const CallControl&) = delete;

  // The calls end with CANCELLED soon after, unless they have ended already. Does not block; a second time does
  // nothing.
  void Cancel();

  bool cancelled() const;

 private:
  friend class CallContext;

  // A call is attached from before it starts until it has ended.
  void Attach(grpc::ClientContext* call);
  void Detach(grpc::ClientContext* call);

  mutable absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_CONTROL_H_
