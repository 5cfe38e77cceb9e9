#ifndef PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_
#define PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_

#include <atomic>
#include <coroutine>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/async/stop.h"
#include "server/async/worker_pool.h"
#include "server/engine/admission.h"
#include "server/engine/batch_executor.h"
#include "server/engine/bisection.h"
#include "server/engine/inference.h"
#include "server/engine/job_queue.h"
#include "server/engine/runner_observer.h"
#include "server/engine/warm_up.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

// Runs one model version: its queue, and the steps that the worker pool takes from it. A free worker takes what waits,
// so batches form while workers are busy and nothing waits for a batch. Of a batch that fails the parts run, each in a
// step of its own, so that only who is to blame fails and other models keep their turn. Thread-safe.
class ModelRunner final : public WorkSource, public std::enable_shared_from_this<ModelRunner> {
 public:
  class Inference;

  struct Options {
    // max_rows is the signature's.
    JobQueue::Options queue = {};
    Share share = {};
    // May be null; outlives the runner.
    RunnerObserver* observer = nullptr;
    // What the largest batch may take at most if batches are to run on event loops; 0: they never do.
    Duration loop_bound = Duration::zero();
  };

  // `scheduler` and `clock` outlive the runner.
  ModelRunner(std::unique_ptr<Model> model, Signature signature, Options options, WorkScheduler& scheduler,
              const Clock& clock);

  const Signature& signature() const { return signature_; }

  // `co_await runner.Infer(...)` is an absl::StatusOr<InferenceResult>, and continues on the thread that ended it:
  //   the worker, with the outputs or INTERNAL (the cause in the message is for the log only);
  //   the thread that stopped `stop`, at once, whatever the workers do, with its StopStatus;
  //   this thread, with RESOURCE_EXHAUSTED and advice on when to retry, if the queue is full, there is no memory or,
  //   beside others, the request would not be answered before its deadline.
  // `stop` outlives the await.
  Inference Infer(InferenceRequest request, StopSource& stop, Admission admission = Admission::kIfRoom);

  // Runs the model on zeros, on this thread, as WarmUp in warm_up.h.
  absl::StatusOr<WarmUpReport> WarmUp(const WarmUpOptions& options) { return executor_.WarmUp(options); }

  void RunStep() noexcept override;
  // Of the batch that would be taken now, from those that ran.
  Duration StepCost() const override;
  bool MayRunOnLoop() const override { return executor_.MayRunOnLoop(); }

  int64_t queued() const;

 private:
  // `self` keeps the runner while the caller, with its reference, may already be gone.
  static void Enqueue(std::shared_ptr<ModelRunner> self, const std::shared_ptr<Job>& job, const StopSource& stop,
                      Admission admission) noexcept;
  // Whether the job waits now: not if it was stopped. Or why it is refused.
  absl::StatusOr<bool> Push(const std::shared_ptr<Job>& job, const StopSource& stop, Admission admission);
  void OnStop(Job& job, StopReason reason) noexcept;
  // Whether there is room for the request and time to answer it, with so many workers.
  absl::Status Admit(const InferenceRequest& request, int64_t bytes, Admission admission, double workers,
                     TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The most rows of a batch; beyond it a row gets no cheaper.
  int64_t BatchRows() const;
  // How long until a worker is free.
  Duration UntilFree(double workers, TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // What a step does.
  struct Step {
    // From the queue; its batch is moved into `batch`.
    JobQueue::Taken taken;
    // A new one, or what is left of one that failed.
    Bisection batch;
    bool failed = false;
    // Whether there is more to do at once.
    bool more = false;
    // When its batch probably ends.
    TimePoint until = kNever;
  };
  Step TakeStep(TimePoint now, Duration shortest_run) noexcept;
  void RunBatch(Step& step, TimePoint now) noexcept;
  // Leaves what a run has left of a batch that failed to further steps.
  void PutBack(Bisection& batch) noexcept;
  // Tells the pool of what waits, at once or then. If it has no memory to note that, nothing waits any more.
  void Reschedule(bool at_once, TimePoint then) noexcept;
  void RefuseAll() noexcept;
  bool FailedIsNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteNextRows() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Signature signature_;
  RunnerObserver& observer_;
  WorkScheduler& scheduler_;
  const Clock& clock_;
  const Duration max_delay_;

  BatchExecutor executor_;
  // Steps taken, to look now and then whether larger batches pay by now.
  std::atomic<uint32_t> steps_{0};
  // Rows of the batch that would be taken now: the pool asks under its own lock, and often.
  std::atomic<int64_t> next_rows_{0};

  mutable Mutex mutex_;
  JobQueue queue_ ABSL_GUARDED_BY(mutex_);
  // When each of the batches that run is expected to end.
  absl::InlinedVector<TimePoint, 16> running_until_ ABSL_GUARDED_BY(mutex_);
  // Batches that failed, at most kMostFailed beside those that run. They and the queue take turns.
  std::vector<Bisection> failed_ ABSL_GUARDED_BY(mutex_);
  bool failed_turn_ ABSL_GUARDED_BY(mutex_) = false;
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
