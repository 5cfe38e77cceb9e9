#ifndef PREDICTD_SERVER_SERVICES_CONTROL_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_CONTROL_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/served_request.h"
#include "server/serving/catalog.h"
#include "server/serving/model_commands.h"

namespace predictd {

// What the calls that change what is served need. The references outlive them.
struct ControlContext {
  const Catalog& catalog;
  // The limit for requests of the other services, which answers show.
  int64_t max_message_bytes = 0;
};

// Has the model manager carry out a command, and waits for the outcome or the request's stop; the command goes on in
// that case.
Task<absl::StatusOr<std::shared_ptr<PendingCommand>>> CarryOut(ServedRequest& served, ModelCommand command,
                                                               ModelCommands& commands);

// The handler of calls that are not let in: PERMISSION_DENIED.
Task<absl::StatusOr<grpc::ByteBuffer>> RefuseControl(Call& call, grpc::ByteBuffer& request);

// ModelService.LoadModel, UnloadModel, ReloadModel and SetTrafficSplit.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleLoadModel(Call& call, grpc::ByteBuffer& request,
                                                       const ControlContext& context);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleUnloadModel(Call& call, grpc::ByteBuffer& request,
                                                         const ControlContext& context);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleReloadModel(Call& call, grpc::ByteBuffer& request,
                                                         const ControlContext& context);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleSetTrafficSplit(Call& call, grpc::ByteBuffer& request,
                                                             const ControlContext& context);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_CONTROL_HANDLER_H_
