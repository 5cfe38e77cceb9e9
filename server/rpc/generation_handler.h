#ifndef PREDICTD_SERVER_RPC_GENERATION_HANDLER_H_
#define PREDICTD_SERVER_RPC_GENERATION_HANDLER_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/request_target.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// PredictionService.Predict of a generator: whole answers.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleGeneration(Call& call, std::shared_ptr<const v1::PredictRequest> request,
                                                        RequestTarget target);

// PredictionService.PredictStream of a generator: text as it comes.
Task<absl::Status> HandleGenerationStream(Call& call, std::shared_ptr<const v1::PredictStreamRequest> request,
                                          RequestTarget target, StreamWriter& writer);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_GENERATION_HANDLER_H_
