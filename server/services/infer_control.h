#ifndef PREDICTD_SERVER_SERVICES_INFER_CONTROL_H_
#define PREDICTD_SERVER_SERVICES_INFER_CONTROL_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/serving/model_commands.h"

namespace predictd {

// The Open Inference Protocol's RepositoryModelLoad and RepositoryModelUnload, which do what LoadModel and UnloadModel
// do. The commands outlive the call.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleRepositoryModelLoad(Call& call, grpc::ByteBuffer& request,
                                                                 ModelCommands& commands);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleRepositoryModelUnload(Call& call, grpc::ByteBuffer& request,
                                                                   ModelCommands& commands);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_CONTROL_H_
