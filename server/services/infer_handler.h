#ifndef PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/services/shared_memory_regions.h"
#include "server/serving/catalog.h"

namespace predictd {

// Answers one ModelInferRequest with one ModelInferResponse, on the way that Predict takes. GRPCInferenceService's
// ModelInfer does it once. Without regions no request may use shared memory.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelInfer(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                        const SharedMemoryRegions* regions);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_
