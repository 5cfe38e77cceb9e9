#include "client/call_control.h"

#include <grpcpp/client_context.h>

namespace predictd {
inline namespace client {

void CallControl::Cancel() {
  // Holds the lock, so that no call can end and disappear meanwhile.
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* call : calls_) call->TryCancel();
}

bool CallControl::cancelled() const {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

void CallControl::Attach(grpc::ClientContext* call) {
  absl::MutexLock lock(&mutex_);
  calls_.insert(call);
  if (cancelled_) call->TryCancel();
}

void CallControl::Detach(grpc::ClientContext* call) {
  absl::MutexLock lock(&mutex_);
  calls_.erase(call);
}

}  // namespace client
}  // namespace predictd
