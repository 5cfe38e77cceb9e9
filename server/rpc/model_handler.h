#ifndef PREDICTD_SERVER_RPC_MODEL_HANDLER_H_
#define PREDICTD_SERVER_RPC_MODEL_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/engine/catalog.h"
#include "server/rpc/call.h"

namespace predictd {

// ModelService.ListModels and GetModel: what the catalog says, without waiting for anything.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleListModels(Call& call, grpc::ByteBuffer& request, const Catalog& catalog);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleGetModel(Call& call, grpc::ByteBuffer& request, const Catalog& catalog);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_MODEL_HANDLER_H_
