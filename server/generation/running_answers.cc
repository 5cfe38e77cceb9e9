#include "server/generation/running_answers.h"

#include <optional>
#include <utility>

#include "server/async/work_status.h"
#include "server/generation/answer_stream.h"

namespace predictd {

// Stays where it is, because the callback refers to it.
struct RunningAnswers::State {
  State(std::shared_ptr<WaitingAnswers> waiting, std::shared_ptr<AnswerStream> stream)
      : waiting(std::move(waiting)), stream(std::move(stream)) {}
  // Nobody reads the status.
  ~State() { End(absl::Status(absl::StatusCode::kCancelled, "")); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Does nothing if the answers have ended.
  void End(absl::Status status) noexcept {
    waiting->Remove(ticket);
    // This comes last: it may resume the caller, which may destroy this object.
    const std::shared_ptr<AnswerStream> ended = stream;
    ended->Stop(std::move(status));
  }

  const std::shared_ptr<WaitingAnswers> waiting;
  const std::shared_ptr<AnswerStream> stream;
  WaitingAnswers::Ticket ticket;
  // Destroyed first: until then it may run.
  std::optional<StopCallback> on_stop;
};

RunningAnswers::RunningAnswers(std::shared_ptr<WaitingAnswers> waiting, WaitingAnswers::Room room,
                               EncodedRequest request, StopSource& stop) {
  auto stream =
      std::make_shared<AnswerStream>(room.answers(), static_cast<int64_t>(request.prompt.size()), room.taken());
  auto shared = std::make_shared<const EncodedRequest>(std::move(request));
  state_ = std::make_unique<State>(std::move(waiting), std::move(stream));
  state_->ticket = state_->waiting->Add(std::move(room), std::move(shared), state_->stream);
  // The callback may run at once, and on another thread.
  state_->on_stop.emplace(stop, [state = state_.get(), &stop] {
    const bool waits = state->stream->timings().started == TimePoint();
    state->End(StopStatus(stop.reason(), waits ? "the queue" : "the answer"));
  });
}

RunningAnswers::RunningAnswers(RunningAnswers&&) noexcept = default;
RunningAnswers& RunningAnswers::operator=(RunningAnswers&&) noexcept = default;
RunningAnswers::~RunningAnswers() = default;

Task<absl::StatusOr<std::vector<AnswerPiece>>> RunningAnswers::Next() {
  return state_->stream->Next();
}

GenerationTimings RunningAnswers::timings() const {
  return state_->stream->timings();
}

}  // namespace predictd
