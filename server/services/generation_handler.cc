#include "server/services/generation_handler.h"

#include <utility>
#include <vector>

#include "server/async/work_status.h"
#include "server/services/generation_codec.h"
#include "server/services/work_report.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// Decodes the request, and records how long that took.
absl::StatusOr<DecodedGeneration> Decode(ServedRequest& served, const v1::PredictRequest& request,
                                         const GenerationPaths& paths, std::shared_ptr<const ServedVersion> target) {
  const TimePoint started = steady_clock::now();
  absl::StatusOr<DecodedGeneration> decoded = DecodeGeneration(request, paths, std::move(target));
  ReportDecoding(served.report(), started, steady_clock::now());
  if (decoded.ok()) decoded->generation.deadline = served.deadline();
  return decoded;
}

// Hands the request to its generator. Encoding the prompt is a part of decoding the request, too.
Task<absl::StatusOr<RunningAnswers>> Start(ServedRequest& served, DecodedGeneration& decoded,
                                           const GenerationPaths& paths) {
  EncodingTime encoding;
  Task<absl::StatusOr<RunningAnswers>> start =
      decoded.version->generator()->Start(std::move(decoded.generation), served.stop(), &encoding);
  absl::StatusOr<RunningAnswers> answers = co_await start;
  if (encoding.ended != TimePoint()) ReportDecoding(served.report(), encoding.started, encoding.ended);
  if (!answers.ok()) co_return GenerationError(answers.status(), paths);
  co_return answers;
}

// Sends the pieces. Returns the status with which the stream ends.
Task<absl::Status> SendPieces(Call& call, const DecodedGeneration& request, RunningAnswers& answers,
                              StreamWriter& writer) {
  absl::StatusOr<grpc::ByteBuffer> message = EncodeGenerationStart(request);
  if (!message.ok()) co_return message.status();
  bool reading = co_await writer.Write(*message);
  while (reading) {
    const absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await answers.Next();
    if (!pieces.ok()) co_return pieces.status();
    if (pieces->empty()) break;
    for (size_t i = 0; reading && i < pieces->size(); ++i) {
      message = EncodeDelta(request, (*pieces)[i]);
      if (!message.ok()) co_return message.status();
      reading = co_await writer.Write(*message, /*more_follows=*/i + 1 < pieces->size());
    }
  }
  if (reading) {
    message = EncodeGenerationSummary(request, answers.timings());
    if (!message.ok()) co_return message.status();
    reading = co_await writer.Write(*message, /*more_follows=*/true);
  }
  if (call.stop().stopped()) co_return StopStatus(call.stop().reason(), "the stream");
  co_return reading ? absl::OkStatus() : StopStatus(StopReason::kCancelled, "the stream");
}

// Puts the pieces of each answer together.
Task<absl::StatusOr<std::vector<AnswerPiece>>> CollectAnswers(const DecodedGeneration& request,
                                                              RunningAnswers& answers) {
  std::vector<AnswerPiece> whole(static_cast<size_t>(request.answers));
  for (size_t i = 0; i < whole.size(); ++i) whole[i].index = static_cast<int>(i);
  while (true) {
    absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await answers.Next();
    if (!pieces.ok() || pieces->empty()) {
      if (!pieces.ok()) co_return pieces.status();
      co_return whole;
    }
    for (AnswerPiece& piece : *pieces) {
      AnswerPiece& answer = whole[static_cast<size_t>(piece.index)];
      answer.text += piece.text;
      answer.tokens.insert(answer.tokens.end(), piece.tokens.begin(), piece.tokens.end());
      answer.finish_reason = piece.finish_reason;
    }
  }
}

}  // namespace

Task<absl::StatusOr<BegunGeneration>> BeginGeneration(ServedRequest& served,
                                                      std::shared_ptr<const v1::PredictRequest> request,
                                                      std::shared_ptr<const ServedVersion> target,
                                                      const GenerationPaths& paths) {
  absl::StatusOr<DecodedGeneration> decoded = Decode(served, *request, paths, std::move(target));
  if (!decoded.ok()) co_return decoded.status();
  Task<absl::StatusOr<RunningAnswers>> start = Start(served, *decoded, paths);
  absl::StatusOr<RunningAnswers> running = co_await start;
  if (!running.ok()) co_return running.status();
  // The generator has everything that it needs from the message, which may be large.
  request.reset();
  co_return BegunGeneration{*std::move(decoded), *std::move(running)};
}

Task<absl::StatusOr<FinishedGeneration>> Generate(ServedRequest& served,
                                                  std::shared_ptr<const v1::PredictRequest> request,
                                                  std::shared_ptr<const ServedVersion> target,
                                                  const GenerationPaths& paths) {
  Task<absl::StatusOr<BegunGeneration>> begin = BeginGeneration(served, std::move(request), std::move(target), paths);
  absl::StatusOr<BegunGeneration> begun = co_await begin;
  if (!begun.ok()) co_return begun.status();
  Task<absl::StatusOr<std::vector<AnswerPiece>>> collect = CollectAnswers(begun->request, begun->answers);
  absl::StatusOr<std::vector<AnswerPiece>> answers = co_await collect;
  const GenerationTimings timings = begun->answers.timings();
  ReportGeneration(served.report(), timings);
  if (!answers.ok()) co_return answers.status();
  co_return FinishedGeneration{std::move(begun->request), *std::move(answers), timings};
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleGeneration(ServedRequest& served,
                                                        std::shared_ptr<const v1::PredictRequest> request,
                                                        std::shared_ptr<const ServedVersion> target) {
  Task<absl::StatusOr<FinishedGeneration>> generate =
      Generate(served, std::move(request), std::move(target), kPredictPaths);
  const absl::StatusOr<FinishedGeneration> finished = co_await generate;
  if (!finished.ok()) co_return finished.status();
  co_return EncodeAnswers(finished->request, finished->answers, finished->timings);
}

Task<absl::Status> HandleGenerationStream(Call& call, std::shared_ptr<const v1::PredictStreamRequest> request,
                                          std::shared_ptr<const ServedVersion> target, StreamWriter& writer) {
  if (absl::Status status = CheckGenerationStream(*request); !status.ok()) co_return status;
  const v1::PredictRequest* const predict = &request->predict();
  std::shared_ptr<const v1::PredictRequest> part(std::move(request), predict);
  Task<absl::StatusOr<BegunGeneration>> begin = BeginGeneration(call, std::move(part), std::move(target), kStreamPaths);
  absl::StatusOr<BegunGeneration> begun = co_await begin;
  if (!begun.ok()) co_return begun.status();
  Task<absl::Status> send = SendPieces(call, begun->request, begun->answers, writer);
  const absl::Status status = co_await send;
  ReportGeneration(call.report(), begun->answers.timings());
  co_return status;
}

}  // namespace predictd
