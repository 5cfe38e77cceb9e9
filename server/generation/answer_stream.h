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

// What a generator has produced for a request and the caller has not taken yet. The generator and the caller share it:
// the generator never waits for the caller, and the caller finds everything since the last time in one piece. The
// length of an answer bounds what can pile up. Thread-safe; only one coroutine takes pieces.
class AnswerStream {
 public:
  AnswerStream(int answers, int64_t prompt_tokens, TimePoint enqueued);

  // For the caller: waits until there is at least one piece and returns all pieces so far; the result is empty after
  // all answers have ended. Returns the error if one ended the request. The caller continues on the thread that brought
  // the pieces.
  Task<absl::StatusOr<std::vector<AnswerPiece>>> Next();
  GenerationTimings timings() const;

  // For the caller: ends the request for the caller at once, with that status. The generator notices before its next
  // step.
  void Stop(absl::Status status);
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  // For the generator. The caller is not told before Flush.
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
