#ifndef PREDICTD_SERVER_SERVICES_INFER_STATISTICS_H_
#define PREDICTD_SERVER_SERVICES_INFER_STATISTICS_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/serving/catalog.h"

namespace predictd {

// GRPCInferenceService.ModelStatistics: what the runners of versions that are ready have counted. Waits for nothing.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelStatistics(Call& call, grpc::ByteBuffer& request,
                                                             const Catalog& catalog);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_STATISTICS_H_
