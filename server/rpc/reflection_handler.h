#ifndef PREDICTD_SERVER_RPC_REFLECTION_HANDLER_H_
#define PREDICTD_SERVER_RPC_REFLECTION_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// Handles grpc.reflection.v1 and v1alpha, whose messages are the same bytes. gRPC's own service is a synchronous one:
// its threads poll beside the event loops and take their events, which costs a third of the throughput.
Task<absl::Status> HandleReflection(Call& call, StreamWriter& writer, const std::vector<std::string>& services);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_REFLECTION_HANDLER_H_
