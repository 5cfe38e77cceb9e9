#include "server/rpc/generation_handler.h"

#include <utility>
#include <vector>

#include "server/async/on_worker.h"
#include "server/rpc/generation_codec.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// A prompt of so many bytes is put into tokens within about 0.1 ms; longer ones are not for an event loop.
constexpr size_t kShortPrompt = 1024;

// Decodes, on a worker if that may take long, and tells the call what it took.
Task<absl::StatusOr<DecodedGeneration>> Decode(Call& call, const v1::PredictRequest& request, absl::string_view prefix,
                                               const RequestTarget& target) {
  if (request.ByteSizeLong() > kShortPrompt) co_await OnWorker(target.version->generator()->scheduler());
  const TimePoint started = steady_clock::now();
  absl::StatusOr<DecodedGeneration> decoded = DecodeGeneration(request, prefix, target);
  call.report().AddDecode(started, steady_clock::now());
  if (decoded.ok()) decoded->generation.deadline = call.deadline();
  co_return decoded;
}

// A request that the generator has, and that stops with its call. Lives in the frame of the call.
class RunningGeneration {
 public:
  RunningGeneration(Call& call, Generator& generator, Generator::Request request)
      : generator_(generator), request_(std::move(request)), on_stop_(call.stop(), [this, &call] {
          Stop(StopStatus(call.stop().reason(),
                          answers().timings().started == TimePoint() ? "the queue" : "the answer"));
        }) {}
  // Whoever leaves early needs no further tokens.
  ~RunningGeneration() { Stop(absl::CancelledError("the call has ended")); }
  RunningGeneration(const RunningGeneration&) = delete;
  RunningGeneration& operator=(const RunningGeneration&) = delete;

  AnswerStream& answers() { return request_.answers(); }

 private:
  void Stop(const absl::Status& status) { generator_.Stop(request_, status); }

  Generator& generator_;
  Generator::Request request_;
  StopCallback on_stop_;
};

// Sends the pieces; the status that the stream ends with.
Task<absl::Status> SendPieces(Call& call, const DecodedGeneration& request, AnswerStream& answers,
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
Task<absl::StatusOr<std::vector<AnswerPiece>>> CollectAnswers(const DecodedGeneration& request, AnswerStream& answers) {
  std::vector<AnswerPiece> whole(static_cast<size_t>(request.generation.answers));
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

Task<absl::StatusOr<grpc::ByteBuffer>> HandleGeneration(Call& call, std::shared_ptr<const v1::PredictRequest> request,
                                                        RequestTarget target) {
  Task<absl::StatusOr<DecodedGeneration>> decode = Decode(call, *request, "", target);
  absl::StatusOr<DecodedGeneration> decoded = co_await decode;
  if (!decoded.ok()) co_return decoded.status();
  absl::StatusOr<Generator::Request> started = decoded->generator->Start(decoded->generation);
  if (!started.ok()) co_return started.status();
  RunningGeneration running(call, *decoded->generator, *std::move(started));
  Task<absl::StatusOr<std::vector<AnswerPiece>>> collect = CollectAnswers(*decoded, running.answers());
  const absl::StatusOr<std::vector<AnswerPiece>> answers = co_await collect;
  const GenerationTimings timings = running.answers().timings();
  call.report().AddGeneration(timings, static_cast<int64_t>(decoded->generation.prompt.size()));
  if (!answers.ok()) co_return answers.status();
  co_return EncodeAnswers(*decoded, *answers, timings);
}

Task<absl::Status> HandleGenerationStream(Call& call, std::shared_ptr<const v1::PredictStreamRequest> request,
                                          RequestTarget target, StreamWriter& writer) {
  if (absl::Status status = CheckGenerationStream(*request); !status.ok()) co_return status;
  Task<absl::StatusOr<DecodedGeneration>> decode = Decode(call, request->predict(), "predict.", target);
  absl::StatusOr<DecodedGeneration> decoded = co_await decode;
  if (!decoded.ok()) co_return decoded.status();
  absl::StatusOr<Generator::Request> started = decoded->generator->Start(decoded->generation);
  if (!started.ok()) co_return started.status();
  RunningGeneration running(call, *decoded->generator, *std::move(started));
  Task<absl::Status> send = SendPieces(call, *decoded, running.answers(), writer);
  const absl::Status status = co_await send;
  call.report().AddGeneration(running.answers().timings(), static_cast<int64_t>(decoded->generation.prompt.size()));
  co_return status;
}

}  // namespace predictd
