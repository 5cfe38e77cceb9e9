#ifndef PREDICTD_SERVER_RPC_GENERATION_CODEC_H_
#define PREDICTD_SERVER_RPC_GENERATION_CODEC_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/generation/generation.h"
#include "server/generation/generator.h"
#include "server/rpc/request_target.h"

namespace predictd {

// A request for a generator, understood.
struct DecodedGeneration {
  const ServedModel* model = nullptr;
  int64_t version = 0;
  std::shared_ptr<Generator> generator;
  GenerationRequest generation;
  std::string request_id;
};

// Validates the request and puts its prompt into tokens; the deadline is left to the caller. A long prompt takes
// milliseconds. INVALID_ARGUMENT with a BadRequest, whose paths begin with `prefix`; FAILED_PRECONDITION for a chat if
// the model has no template.
absl::StatusOr<DecodedGeneration> DecodeGeneration(const v1::PredictRequest& request, absl::string_view prefix,
                                                   const RequestTarget& target);

// The same of a stream, whose options for rows must be left out.
absl::Status CheckGenerationStream(const v1::PredictStreamRequest& request);

// The answers.
absl::StatusOr<grpc::ByteBuffer> EncodeGenerationStart(const DecodedGeneration& request);
absl::StatusOr<grpc::ByteBuffer> EncodeDelta(const DecodedGeneration& request, const AnswerPiece& piece);
absl::StatusOr<grpc::ByteBuffer> EncodeGenerationSummary(const DecodedGeneration& request,
                                                         const GenerationTimings& timings);
// `answers` holds all pieces of each, put together.
absl::StatusOr<grpc::ByteBuffer> EncodeAnswers(const DecodedGeneration& request, absl::Span<const AnswerPiece> answers,
                                               const GenerationTimings& timings);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_GENERATION_CODEC_H_
