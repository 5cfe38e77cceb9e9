#include "server/rpc/generation_handler.h"

#include <new>
#include <utility>
#include <vector>

#include "server/rpc/generation_codec.h"
#include "server/rpc/generation_prompt.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// Waits until a worker may put the prompt into tokens, and goes on there.
Task<absl::Status> AwaitPromptTurn(Call& call, Generator& generator, TimePoint place) {
  const StepQueue::Outcome outcome = co_await generator.prompts().Enter(place, call.stop());
  switch (outcome) {
    case StepQueue::Outcome::kTurn:
      break;
    case StepQueue::Outcome::kStopped:
      co_return StopStatus(call.stop().reason(), "the queue");
    case StepQueue::Outcome::kFull:
      // Who has room in the generator's queue has it here, too.
      co_return absl::InternalError("more prompts wait for a worker than there is room for");
  }
  co_return absl::OkStatus();
}

// What a call has asked of a generator.
struct StartedGeneration {
  DecodedGeneration decoded;
  Generator::Request request;
};

// Decodes the request and hands it to the generator. Room in the queue comes before the prompt is put into tokens,
// which a worker does if it may take long; the call is told what it took.
Task<absl::StatusOr<StartedGeneration>> Start(Call& call, const v1::PredictRequest& request, absl::string_view prefix,
                                              const RequestTarget& target) {
  TimePoint started = steady_clock::now();
  absl::StatusOr<DecodedGeneration> decoded = DecodeGeneration(request, prefix, target);
  call.report().AddDecode(started, steady_clock::now());
  if (!decoded.ok()) co_return decoded.status();
  Generator& generator = *decoded->generator;
  GenerationRequest& generation = decoded->generation;
  generation.deadline = call.deadline();
  absl::StatusOr<WaitingAnswers::Room> room =
      generator.Reserve(generation.answers, generation.priority, generation.deadline);
  if (!room.ok()) co_return room.status();
  if (!IsShortPrompt(request.generation())) {
    Task<absl::Status> turn = AwaitPromptTurn(call, generator, room->place());
    absl::Status waited = co_await turn;
    if (!waited.ok()) co_return waited;
  }
  started = steady_clock::now();
  absl::Status read = ReadPrompt(request, prefix, call.stop(), *decoded);
  call.report().AddDecode(started, steady_clock::now());
  if (!read.ok()) co_return read;
  absl::StatusOr<Generator::Request> handed = generator.Start(std::move(generation), *std::move(room));
  if (!handed.ok()) co_return handed.status();
  co_return StartedGeneration{*std::move(decoded), *std::move(handed)};
}

// A request that the generator has, and that stops with its call. Lives in the frame of the call.
class RunningGeneration {
 public:
  RunningGeneration(Call& call, Generator& generator, Generator::Request request)
      : generator_(generator),
        request_(std::move(request)),
        on_stop_(call.stop(), [this, &call] { Stop(call.stop().reason()); }) {}
  // Whoever leaves early needs no further tokens.
  ~RunningGeneration() { generator_.Abandon(request_); }
  RunningGeneration(const RunningGeneration&) = delete;
  RunningGeneration& operator=(const RunningGeneration&) = delete;

  AnswerStream& answers() { return request_.answers(); }

 private:
  void Stop(StopReason reason) noexcept {
    const bool waits = answers().timings().started == TimePoint();
    absl::Status status;
    try {
      status = StopStatus(reason, waits ? "the queue" : "the answer");
    } catch (const std::bad_alloc&) {
      return generator_.Abandon(request_);
    }
    generator_.Stop(request_, status);
  }

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

Task<absl::StatusOr<grpc::ByteBuffer>> HandleGeneration(Call& call, std::shared_ptr<const v1::PredictRequest> request,
                                                        RequestTarget target) {
  Task<absl::StatusOr<StartedGeneration>> start = Start(call, *request, "", target);
  absl::StatusOr<StartedGeneration> started = co_await start;
  if (!started.ok()) co_return started.status();
  // The generator has all that it needs of the message, which may be large.
  request.reset();
  const DecodedGeneration& decoded = started->decoded;
  RunningGeneration running(call, *decoded.generator, std::move(started->request));
  Task<absl::StatusOr<std::vector<AnswerPiece>>> collect = CollectAnswers(decoded, running.answers());
  const absl::StatusOr<std::vector<AnswerPiece>> answers = co_await collect;
  const GenerationTimings timings = running.answers().timings();
  call.report().AddGeneration(timings, decoded.prompt_tokens);
  if (!answers.ok()) co_return answers.status();
  co_return EncodeAnswers(decoded, *answers, timings);
}

Task<absl::Status> HandleGenerationStream(Call& call, std::shared_ptr<const v1::PredictStreamRequest> request,
                                          RequestTarget target, StreamWriter& writer) {
  if (absl::Status status = CheckGenerationStream(*request); !status.ok()) co_return status;
  Task<absl::StatusOr<StartedGeneration>> start = Start(call, request->predict(), "predict.", target);
  absl::StatusOr<StartedGeneration> started = co_await start;
  if (!started.ok()) co_return started.status();
  request.reset();
  const DecodedGeneration& decoded = started->decoded;
  RunningGeneration running(call, *decoded.generator, std::move(started->request));
  Task<absl::Status> send = SendPieces(call, decoded, running.answers(), writer);
  const absl::Status status = co_await send;
  call.report().AddGeneration(running.answers().timings(), decoded.prompt_tokens);
  co_return status;
}

}  // namespace predictd
