#ifndef PREDICTD_SERVER_SERVICES_MODEL_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_MODEL_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/serving/catalog.h"

namespace predictd {

// ModelService.ListModels and GetModel: they return what the catalog says and wait for nothing. `max_message_bytes` is
// the limit for requests of the other services.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleListModels(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                        int64_t max_message_bytes);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleGetModel(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                      int64_t max_message_bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_MODEL_HANDLER_H_
