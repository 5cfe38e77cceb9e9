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
  // What the generator gets. The rest is what is left to know of it afterwards.
  GenerationRequest generation;
  int64_t prompt_tokens = 0;
  int answers = 1;
  bool logprobs = false;
  std::string request_id;
};

// Validates all of the request that needs no tokens; the deadline is left to the caller, the prompt to ReadPrompt.
// INVALID_ARGUMENT with a BadRequest, whose paths begin with `prefix`; FAILED_PRECONDITION for a chat if the model has
// no template. Takes microseconds, whatever the caller sent.
absl::StatusOr<DecodedGeneration> DecodeGeneration(const v1::PredictRequest& request, absl::string_view prefix,
                                                   const RequestTarget& target);

// Puts the prompt of a request that was decoded into tokens, which takes milliseconds if it is long, and looks how many
// more fit. The status is that of EncodePrompt, or INVALID_ARGUMENT for max_tokens.
absl::Status ReadPrompt(const v1::PredictRequest& request, absl::string_view prefix, const StopSource& stop,
                        DecodedGeneration& decoded);

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
