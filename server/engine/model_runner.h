#ifndef PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_
#define PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_

#include <atomic>
#include <coroutine>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/async/stop.h"
#include "server/async/worker_pool.h"
#include "server/engine/admission.h"
#include "server/engine/batch_buffers.h"
#include "server/engine/batch_cost.h"
#include "server/engine/inference.h"
#include "server/engine/job_queue.h"
#include "server/engine/warm_up.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

// Told what a runner does, on any thread; must be quick. The changes add up to 0 when nothing is left.
class RunnerObserver {
 public:
  virtual ~RunnerObserver() = default;
  // Requests that wait, and requests in batches that run.
  virtual void OnQueuedChange(int64_t by) = 0;
  virtual void OnRunningChange(int64_t by) = 0;
  virtual void OnBatch(int64_t rows, Duration compute) = 0;
  virtual void OnDequeued(Duration waited) = 0;
};

// Whether a request may be refused.
enum class Admission {
  // If the queue is full, or it would miss its deadline.
  kIfRoom,
  // Also if the queue is half full: it can come later, and leaves the rest to those that cannot.
  kIfSpare,
  // It takes the place of one of the same call that has just ended, which bounds how many there are.
  kReplacement,
};

// Runs one model version: its queue, and the steps that the worker pool takes from it. A free worker takes what waits,
// so batches form while workers are busy and nothing waits for a batch. Thread-safe.
class ModelRunner final : public WorkSource, public std::enable_shared_from_this<ModelRunner> {
 public:
  class Inference;

  struct Options {
    // max_rows is the signature's.
    JobQueue::Options queue = {};
    Share share = {};
    // May be null; outlives the runner.
    RunnerObserver* observer = nullptr;
  };

  // `scheduler` and `clock` outlive the runner.
  ModelRunner(std::unique_ptr<Model> model, Signature signature, Options options, WorkScheduler& scheduler,
              const Clock& clock);

  const Signature& signature() const { return signature_; }

  // `co_await runner.Infer(...)` is an absl::StatusOr<InferenceResult>, and continues on the thread that ended it:
  //   the worker, with the outputs or INTERNAL (the cause in the message is for the log only);
  //   the thread that stopped `stop`, at once, whatever the workers do, with its StopStatus;
  //   this thread, with RESOURCE_EXHAUSTED and advice on when to retry, if the queue is full or, beside others, the
  //   request would not be answered before its deadline.
  // `stop` outlives the await.
  Inference Infer(InferenceRequest request, StopSource& stop, Admission admission = Admission::kIfRoom);

  // Runs the model on zeros, on this thread, as WarmUp in warm_up.h.
  absl::Status WarmUp(const WarmUpOptions& options);

  void RunStep() override;
  // Of the batch that would be taken now, from those that ran.
  Duration StepCost() const override;
  bool Steady() const override;

  // How many requests wait.
  int64_t queued() const;

 private:
  using Jobs = std::vector<std::shared_ptr<Job>>;

  // `self` keeps the runner while the caller, with its reference, may already be gone.
  static void Enqueue(std::shared_ptr<ModelRunner> self, const std::shared_ptr<Job>& job, const StopSource& stop,
                      Admission admission);
  void OnStop(Job& job, StopReason reason);
  void RunBatch(const Jobs& jobs);
  absl::StatusOr<std::vector<Tensor>> Compute(const Jobs& jobs, int64_t rows);
  // Whether there is room for the request and time to answer it, with so many workers.
  absl::Status Admit(const InferenceRequest& request, int64_t bytes, Admission admission, double workers,
                     TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The most rows of a batch; beyond it a row gets no cheaper.
  int64_t BatchRows() const;
  // How long until a worker is free.
  Duration UntilFree(double workers, TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<Model> model_;
  const Signature signature_;
  RunnerObserver& observer_;
  WorkScheduler& scheduler_;
  const Clock& clock_;
  const Duration max_delay_;

  BatchBuffers buffers_;
  BatchCost cost_;
  DeadlineMargin margin_;
  // Steps taken, to look now and then whether larger batches pay by now.
  std::atomic<uint32_t> steps_{0};
  // Batches for callers that ran since the last one that took long.
  std::atomic<int> quick_runs_{0};

  mutable Mutex mutex_;
  JobQueue queue_ ABSL_GUARDED_BY(mutex_);
  // When each of the batches that run is expected to end.
  std::vector<TimePoint> running_until_ ABSL_GUARDED_BY(mutex_);
};

// The awaitable of ModelRunner::Infer. Lives in the frame of the coroutine that awaits it.
class ModelRunner::Inference {
 public:
  Inference(ModelRunner& runner, InferenceRequest request, StopSource& stop, Admission admission)
      : runner_(runner), job_(std::make_shared<Job>(std::move(request))), stop_(stop), admission_(admission) {}
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter);
  absl::StatusOr<InferenceResult> await_resume() { return job_->TakeResult(); }

 private:
  ModelRunner& runner_;
  const std::shared_ptr<Job> job_;
  StopSource& stop_;
  const Admission admission_;
  std::optional<StopCallback> on_stop_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_
