// One attempt of one call, from its start to its end.
#ifndef PREDICTD_CLIENT_CALL_CONTEXT_H_
#define PREDICTD_CLIENT_CALL_CONTEXT_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/call_info.h"
#include "client/call_options.h"

namespace predictd {
inline namespace client {

// Owns the grpc::ClientContext of a call, applies the call's options, and turns its end into a status and a CallInfo.
// Owned by the call (Client or ResponseStream) and used by one thread; any thread may cancel.
class CallContext {
 public:
  // INVALID_ARGUMENT for metadata that gRPC does not allow.
  static absl::StatusOr<std::unique_ptr<CallContext>> Create(const Metadata& client_metadata,
                                                             const CallOptions& options,
                                                             absl::Duration default_deadline);
  ~CallContext();
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  // The context to pass to the generated stub.
  grpc::ClientContext* grpc() { return &grpc_; }

  void Cancel() { grpc_.TryCancel(); }

  // Call this when the call has ended with `status`. Fills `info` unless it is null.
  absl::Status Finish(const grpc::Status& status, CallInfo* info) const;

 private:
  CallContext(const Metadata& client_metadata, const CallOptions& options, absl::Duration deadline);

  const std::shared_ptr<CallControl> control_;
  const absl::Time start_;
  grpc::ClientContext grpc_;
};

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_CONTEXT_H_
