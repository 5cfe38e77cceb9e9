#ifndef PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/serving/catalog.h"

namespace predictd {

// Answers one ModelInferRequest with one ModelInferResponse, on the way that Predict takes. GRPCInferenceService's
// ModelInfer does it once.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelInfer(Call& call, grpc::ByteBuffer& request, const Catalog& catalog);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_HANDLER_H_
