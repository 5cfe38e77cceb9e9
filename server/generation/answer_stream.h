#ifndef PREDICTD_SERVER_GENERATION_ANSWER_STREAM_H_
#define PREDICTD_SERVER_GENERATION_ANSWER_STREAM_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/async_event.h"
#include "server/async/mutex.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/generation/generation.h"

namespace predictd {

// What a generator has made for a request and its caller has not taken yet. Shared by the two: the generator never
// waits for a caller, who finds everything since the last time in one piece. An answer's length bounds what can pile
// up. Thread-safe; one coroutine takes.
class AnswerStream {
 public:
  AnswerStream(int answers, TimePoint enqueued);

  // For the caller: what has come, at least one piece; empty after all answers have ended. Or the error that ended the
  // request. Continues on the thread that brought it.
  Task<absl::StatusOr<std::vector<AnswerPiece>>> Next();
  GenerationTimings timings() const;

  // For the caller: ends the request with that status for the caller at once. The generator sees it before its next
  // step.
  void Stop(absl::Status status);
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  // For the generator. Nobody is told before Flush.
  void Begin(TimePoint now, int64_t cached_tokens);
  void Add(int index, std::string text, SampledToken token, TimePoint now);
  void Finish(int index, std::string text, FinishReason reason);
  // Resumes the caller if it waits.
  void Flush() { news_.Set(); }

 private:
  AnswerPiece& Pending(int index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  AsyncEvent news_;
  std::atomic<bool> stopped_{false};

  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::vector<AnswerPiece> pending_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_);
  GenerationTimings timings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_ANSWER_STREAM_H_
