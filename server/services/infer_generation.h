#ifndef PREDICTD_SERVER_SERVICES_INFER_GENERATION_H_
#define PREDICTD_SERVER_SERVICES_INFER_GENERATION_H_

#include <grpcpp/grpcpp.h>
#include <inference/grpc_service.pb.h>

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/model/signature.h"
#include "server/rpc/served_request.h"
#include "server/serving/served_version.h"

namespace predictd {

// The inputs and outputs that every generator has in the Open Inference Protocol; their names are those of Triton's
// backend for vLLM.
const Signature& InferGeneratorSignature();

// Sends an answer that others follow. An error ends the request.
using SendInferAnswer = std::function<Task<absl::Status>(grpc::ByteBuffer answer)>;

// Answers a ModelInferRequest for a generator, on the way that Predict takes: with whole answers or, if the request
// asks for a stream, with the new text whenever there is some, by `send`. Returns the last answer. Without `send`,
// requests for a stream are refused; otherwise it outlives the task.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleInferGeneration(
    ServedRequest& served, std::shared_ptr<const inference::ModelInferRequest> request,
    std::shared_ptr<const ServedVersion> target, const SendInferAnswer* send);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_GENERATION_H_
