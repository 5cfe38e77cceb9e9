#ifndef PREDICTD_SERVER_SERVICES_GENERATION_CODEC_H_
#define PREDICTD_SERVER_SERVICES_GENERATION_CODEC_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/generation/generation.h"
#include "server/generation/generator.h"
#include "server/services/request_target.h"

namespace predictd {

// A decoded request for a generator.
struct DecodedGeneration {
  std::shared_ptr<const ServedVersion> version;
  // What the generator receives; its prompt refers to the message. The other fields are what the handlers still need to
  // know after that.
  GenerationRequest generation;
  int answers = 1;
  bool logprobs = false;
  std::string request_id;
};

// What errors call the fields of a request, which depends on how it came.
struct GenerationPaths {
  // Stands before the fields of a PredictRequest, and before those of its generation.
  absl::string_view request;
  absl::string_view generation;
  // The field that has the text to continue, if there is only that kind of prompt.
  absl::string_view prompt = "";
};
inline constexpr GenerationPaths kPredictPaths = {"", "generation."};
inline constexpr GenerationPaths kStreamPaths = {"predict.", "predict.generation."};

// Validates everything in the request that needs no tokens; the deadline is left to the caller of this function.
// INVALID_ARGUMENT with a BadRequest; FAILED_PRECONDITION for a chat if the model has no template. Takes about the time
// that ScanRequest allows for it. The message must outlive the prompt, and the texts of `paths` everything.
absl::StatusOr<DecodedGeneration> DecodeGeneration(const v1::PredictRequest& request, const GenerationPaths& paths,
                                                   std::shared_ptr<const ServedVersion> target);

// The status of a request that the generator refused, for its caller: an INVALID_ARGUMENT gets a BadRequest with the
// path of the field.
absl::Status GenerationError(const absl::Status& refused, const GenerationPaths& paths);

// The additional check of a stream, which must not set the options for rows.
absl::Status CheckGenerationStream(const v1::PredictStreamRequest& request);

// These encode the answers.
absl::StatusOr<grpc::ByteBuffer> EncodeGenerationStart(const DecodedGeneration& request);
absl::StatusOr<grpc::ByteBuffer> EncodeDelta(const DecodedGeneration& request, const AnswerPiece& piece);
absl::StatusOr<grpc::ByteBuffer> EncodeGenerationSummary(const DecodedGeneration& request,
                                                         const GenerationTimings& timings);
// Each element of `answers` holds all pieces of one answer, put together.
absl::StatusOr<grpc::ByteBuffer> EncodeAnswers(const DecodedGeneration& request, absl::Span<const AnswerPiece> answers,
                                               const GenerationTimings& timings);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_GENERATION_CODEC_H_
