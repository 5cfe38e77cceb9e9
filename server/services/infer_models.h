#ifndef PREDICTD_SERVER_SERVICES_INFER_MODELS_H_
#define PREDICTD_SERVER_SERVICES_INFER_MODELS_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/serving/catalog.h"

namespace predictd {

// GRPCInferenceService's calls about the server and its models: they return what health and the catalog say, and wait
// for nothing.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleServerLive(Call& call, grpc::ByteBuffer& request);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleServerReady(Call& call, grpc::ByteBuffer& request);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleServerMetadata(Call& call, grpc::ByteBuffer& request,
                                                            const std::string& version, bool shared_memory);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelReady(Call& call, grpc::ByteBuffer& request, const Catalog& catalog);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelMetadata(Call& call, grpc::ByteBuffer& request,
                                                           const Catalog& catalog);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleRepositoryIndex(Call& call, grpc::ByteBuffer& request,
                                                             const Catalog& catalog);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_MODELS_H_
