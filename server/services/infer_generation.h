#ifndef PREDICTD_SERVER_SERVICES_INFER_GENERATION_H_
#define PREDICTD_SERVER_SERVICES_INFER_GENERATION_H_

#include <grpcpp/grpcpp.h>
#include <inference/grpc_service.pb.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/model/signature.h"
#include "server/rpc/call.h"
#include "server/serving/served_version.h"

namespace predictd {

// The inputs and outputs that every generator has in the Open Inference Protocol; their names are those of Triton's
// backend for vLLM.
const Signature& InferGeneratorSignature();

// Answers a ModelInferRequest for a generator with whole answers, on the way that Predict takes.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleInferGeneration(
    Call& call, std::shared_ptr<const inference::ModelInferRequest> request,
    std::shared_ptr<const ServedVersion> target);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_GENERATION_H_
