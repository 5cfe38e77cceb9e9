// A handle with which others can stop calls.
#ifndef PREDICTD_CLIENT_CALL_CONTROL_H_
#define PREDICTD_CLIENT_CALL_CONTROL_H_

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace grpc {
class ClientContext;
}

namespace predictd {
inline namespace client {

// Cancels every call that was started with it (CallOptions::control), those that are running and those that follow.
// Shared by the thread that makes the calls and whoever stops them, such as another thread or one that waits for a
// signal. Any thread may use it, but not a signal handler.
class CallControl {
 public:
  CallControl() = default;
  CallControl(const CallControl&) = delete;
  CallControl& operator=(const CallControl&) = delete;

  // The calls end with CANCELLED soon after, unless they have already ended. Does not block; calling it again does
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

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_CONTROL_H_
