#ifndef PREDICTD_SERVER_SERVICES_WATCH_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_WATCH_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>

#include "absl/status/status.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"
#include "server/serving/catalog.h"

namespace predictd {

// ModelService.WatchModels. `max_message_bytes` is the limit for requests of the other services.
Task<absl::Status> HandleWatchModels(Call& call, grpc::ByteBuffer& request, StreamWriter& writer, Catalog& catalog,
                                     int64_t max_message_bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_WATCH_HANDLER_H_
