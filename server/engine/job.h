#ifndef PREDICTD_SERVER_ENGINE_JOB_H_
#define PREDICTD_SERVER_ENGINE_JOB_H_

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "server/async/indexed_heap.h"
#include "server/async/resume_once.h"
#include "server/engine/inference.h"

namespace predictd {

// A request on its way through queue and batch. Shared by the coroutine that waits for it and the queue or worker that
// has it: the coroutine may leave early (deadline, cancel) while a batch still reads the inputs.
class Job {
 public:
  explicit Job(InferenceRequest request) : request(std::move(request)) {}

  // Ends the job and resumes the coroutine on this thread. Thread-safe; the first caller wins, others get false.
  bool Complete(absl::StatusOr<InferenceResult> result) {
    if (!waiter.Claim()) return false;
    result_ = std::move(result);
    waiter.Resume();
    return true;
  }
  bool ended() const { return waiter.claimed(); }

  // For the coroutine, after it was resumed.
  absl::StatusOr<InferenceResult> TakeResult() { return std::move(result_); }

  const InferenceRequest request;
  ResumeOnce waiter;

  // Guarded by the queue's mutex until the job leaves the queue.
  TimePoint enqueued;
  uint64_t sequence = 0;
  size_t queue_index = kNotInHeap;

 private:
  absl::StatusOr<InferenceResult> result_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_H_
