#ifndef PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/served_request.h"
#include "server/services/infer_generation.h"
#include "server/services/shared_memory_regions.h"
#include "server/serving/catalog.h"

namespace predictd {

// Answers one ModelInferRequest, on the way that Predict takes, and returns its last ModelInferResponse, which is the
// only one without `send` (HandleInferGeneration). Without regions no request may use shared memory.
Task<absl::StatusOr<grpc::ByteBuffer>> AnswerInfer(ServedRequest& served, grpc::ByteBuffer& request,
                                                   const Catalog& catalog, const SharedMemoryRegions* regions,
                                                   const SendInferAnswer* send = nullptr);

// GRPCInferenceService.ModelInfer.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelInfer(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                        const SharedMemoryRegions* regions);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_
