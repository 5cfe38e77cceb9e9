#ifndef PREDICTD_SERVER_RPC_HEALTH_HANDLER_H_
#define PREDICTD_SERVER_RPC_HEALTH_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/health_registry.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// The handlers of grpc.health.v1. gRPC's own health service brings polling threads that compete with the event loops,
// and reflection does not know its messages.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleHealthCheck(Call& call, grpc::ByteBuffer& request, HealthRegistry& health);
Task<absl::Status> HandleHealthWatch(Call& call, grpc::ByteBuffer& request, StreamWriter& writer,
                                     HealthRegistry& health);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_HEALTH_HANDLER_H_
