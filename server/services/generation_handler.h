#ifndef PREDICTD_SERVER_SERVICES_GENERATION_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_GENERATION_HANDLER_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/generation/running_answers.h"
#include "server/rpc/call.h"
#include "server/rpc/served_request.h"
#include "server/rpc/stream_writer.h"
#include "server/services/generation_codec.h"
#include "server/services/request_target.h"

namespace predictd {

// A generation that has begun.
struct BegunGeneration {
  DecodedGeneration request;
  RunningAnswers answers;
};

// Validates a request and hands it to its generator, whatever protocol it came by. `paths` outlives the task.
Task<absl::StatusOr<BegunGeneration>> BeginGeneration(ServedRequest& served,
                                                      std::shared_ptr<const v1::PredictRequest> request,
                                                      std::shared_ptr<const ServedVersion> target,
                                                      const GenerationPaths& paths);

// A generation that has ended, with its whole answers.
struct FinishedGeneration {
  DecodedGeneration request;
  std::vector<AnswerPiece> answers;
  GenerationTimings timings;
};

// Generates whole answers in the same way.
Task<absl::StatusOr<FinishedGeneration>> Generate(ServedRequest& served,
                                                  std::shared_ptr<const v1::PredictRequest> request,
                                                  std::shared_ptr<const ServedVersion> target,
                                                  const GenerationPaths& paths);

// PredictionService.Predict for a generator: returns whole answers.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleGeneration(ServedRequest& served,
                                                        std::shared_ptr<const v1::PredictRequest> request,
                                                        std::shared_ptr<const ServedVersion> target);

// PredictionService.PredictStream for a generator: sends text as it comes.
Task<absl::Status> HandleGenerationStream(Call& call, std::shared_ptr<const v1::PredictStreamRequest> request,
                                          std::shared_ptr<const ServedVersion> target, StreamWriter& writer);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_GENERATION_HANDLER_H_
