#ifndef PREDICTD_SERVER_SERVICES_INFER_CONFIG_H_
#define PREDICTD_SERVER_SERVICES_INFER_CONFIG_H_

#include <grpcpp/grpcpp.h>
#include <inference/model_config.pb.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/services/named_version.h"

namespace predictd {

// How a version is run, in Triton's terms. `workers` is how many batches the server can run at once. Its
// CheckConfigured() must be OK.
void FillInferConfig(const NamedVersion& named, int workers, inference::ModelConfig& message);

// GRPCInferenceService.ModelConfig: waits for nothing.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelConfig(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                         int workers);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_CONFIG_H_
