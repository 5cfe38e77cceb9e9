#ifndef PREDICTD_SERVER_GENERATION_RUNNING_ANSWERS_H_
#define PREDICTD_SERVER_GENERATION_RUNNING_ANSWERS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/generation/generation.h"
#include "server/generation/waiting_answers.h"

namespace predictd {

// The answers to one request, from when they are queued. They belong to the caller: when the request's StopSource stops
// or this object is destroyed, those that wait leave the queue at once, and the slots of those that run are free before
// the generator's next step. Used by one coroutine.
class RunningAnswers {
 public:
  // Queues as many answers as the room is for. `waiting` keeps the generator alive; `stop` must outlive this object.
  RunningAnswers(std::shared_ptr<WaitingAnswers> waiting, WaitingAnswers::Room room, EncodedRequest request,
                 StopSource& stop);
  RunningAnswers(RunningAnswers&&) noexcept;
  RunningAnswers& operator=(RunningAnswers&&) noexcept;
  // Needs no memory.
  ~RunningAnswers();

  // Waits until there is at least one piece and returns all pieces since the last call; the result is empty after all
  // answers have ended. Returns the error if one ended the request; if `stop` has stopped, that is its StopStatus, at
  // once. Continues on the thread that brought the pieces or stopped the request.
  Task<absl::StatusOr<std::vector<AnswerPiece>>> Next();

  GenerationTimings timings() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_RUNNING_ANSWERS_H_
