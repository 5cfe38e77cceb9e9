#ifndef PREDICTD_SERVER_ENGINE_JOB_H_
#define PREDICTD_SERVER_ENGINE_JOB_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/async/resume_once.h"
#include "server/engine/inference.h"
#include "server/engine/job_tree.h"

namespace predictd {

// A request on its way through queue and batch. Shared by the coroutine that awaits it and the queue or worker that
// holds it, because the coroutine may leave early (deadline, cancellation) while a batch still reads the inputs.
class Job {
 public:
  explicit Job(InferenceRequest request) : request(std::move(request)) {}

  // Ends the job and resumes the coroutine on this thread. Thread-safe; the first call wins, and the others return
  // false. Allocates nothing, as it must not fail: the caller of a job that does not end would wait for ever.
  bool Complete(absl::StatusOr<InferenceResult> result) noexcept {
    if (!waiter.Claim()) return false;
    result_ = std::move(result);
    waiter.Resume();
    return true;
  }
  bool ended() const { return waiter.claimed(); }

  // To be called by the coroutine after it was resumed.
  absl::StatusOr<InferenceResult> TakeResult() { return std::move(result_); }

  const InferenceRequest request;
  ResumeOnce waiter;

  // The state of the queue that the job waits in, guarded by that queue's mutex.
  struct Queued {
    // When it was put into the queue; kNever if it never was.
    TimePoint at = kNever;
    JobOrder order;
    int64_t bytes = 0;
    // Whether the queue may give the job up because no run would end before its deadline.
    bool refusable = true;
    // Null when the job is in no queue.
    class JobGroup* group = nullptr;
    std::array<JobTree::Links, kJobTreeKinds> links;
    // Keeps the job alive while it waits, since the tree has plain pointers.
    std::shared_ptr<Job> self;
  };
  Queued queued;

 private:
  absl::StatusOr<InferenceResult> result_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_H_
