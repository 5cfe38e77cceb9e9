#ifndef PREDICTD_SERVER_ENGINE_JOB_H_
#define PREDICTD_SERVER_ENGINE_JOB_H_

#include <atomic>
#include <coroutine>
#include <utility>

#include "absl/status/statusor.h"
#include "server/async/indexed_heap.h"
#include "server/engine/inference.h"

namespace predictd {

// A request on its way through queue and batch. Shared by the coroutine that waits for it and the queue or worker that
// has it: the coroutine may leave early (deadline, cancel) while a batch still reads the inputs.
//
// Ends exactly once: the first Complete wins and resumes the coroutine on its own thread.
class Job {
 public:
  explicit Job(InferenceRequest request) : request(std::move(request)) {}

  // Thread-safe. Returns false, and does nothing, if the job has ended already.
  bool Complete(absl::StatusOr<InferenceResult> result) {
    if (ended_.exchange(true, std::memory_order_acq_rel)) return false;
    result_ = std::move(result);
    if (phase_.fetch_or(kCompleted, std::memory_order_acq_rel) & kSuspended) waiter_.resume();
    return true;
  }
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // For the awaiter. Suspend comes first, then everything that may lead to Complete; Suspended is the last thing before
  // the coroutine is resumable by others, and returns false if it need not be suspended at all.
  void Suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  bool Suspended() { return !(phase_.fetch_or(kSuspended, std::memory_order_acq_rel) & kCompleted); }
  absl::StatusOr<InferenceResult> TakeResult() { return std::move(result_); }

  const InferenceRequest request;

  // Guarded by the queue's mutex until the job leaves the queue.
  TimePoint enqueued;
  uint64_t sequence = 0;
  size_t queue_index = kNotInHeap;

 private:
  static constexpr int kSuspended = 1;
  static constexpr int kCompleted = 2;

  std::atomic<bool> ended_{false};
  std::atomic<int> phase_{0};
  std::coroutine_handle<> waiter_;
  absl::StatusOr<InferenceResult> result_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_H_
