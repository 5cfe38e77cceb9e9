#ifndef PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_
#define PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_

#include <atomic>
#include <coroutine>
#include <memory>
#include <optional>
#include <string>
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
#include "server/engine/runner_statistics.h"
#include "server/engine/warm_up.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

// Runs one model version: holds its queue and the steps that the worker pool takes from it. A free worker takes what
// waits, so batches form while workers are busy and no request waits for a batch to fill. If a batch fails, its parts
// run again, each in a step of its own, so that only the culprits fail and other models keep their turn. Thread-safe.
class ModelRunner final : public WorkSource, public std::enable_shared_from_this<ModelRunner> {
 public:
  class Inference;

  struct Options {
    // max_rows is taken from the signature.
    JobQueue::Options queue = {};
    Share share = {};
    // May be null; outlives the runner.
    RunnerObserver* observer = nullptr;
    // The most that the largest batch may take if batches are to run on event loops; 0: they never do.
    Duration loop_bound = Duration::zero();
  };

  // `scheduler` and `clock` outlive the runner.
  ModelRunner(std::unique_ptr<Model> model, Signature signature, Options options, WorkScheduler& scheduler,
              const Clock& clock);

  // Its max_batch_size is what there is memory for.
  const Signature& signature() const { return signature_; }

  // `co_await runner.Infer(...)` is an absl::StatusOr<InferenceResult>. It continues on the thread that ended it:
  //   a worker, with the outputs or INTERNAL (the cause in the message is for the log only);
  //   the thread that stopped `stop`, at once, whatever the workers do, with its StopStatus;
  //   this thread, with RESOURCE_EXHAUSTED and advice on when to retry, if the queue is full, there is no memory, or,
  //   unless the model is idle, the request would not be answered before its deadline.
  // `stop` outlives the await.
  Inference Infer(InferenceRequest request, StopSource& stop, Admission admission = Admission::kIfRoom);

  // Runs the model on zeros, like WarmUp in warm_up.h. If there is too little memory for the largest
  // batch, the signature's max_batch_size becomes smaller: so call it only before anybody else has the runner.
  absl::StatusOr<WarmUpReport> WarmUp(const WarmUpOptions& options);
  // See CheckAnswers in answer_check.h and Model. To be called after the warm-up and before the first request.
  AnswerCheck CheckAnswers() { return executor_.CheckAnswers(); }
  void ForgetRuns() { executor_.ForgetRuns(); }
  void RunOneAtATime() {
    executor_.RunOneAtATime();
    LimitToOneStep();
  }
  const Caveats& caveats() const { return executor_.caveats(); }

  void RunStep() noexcept override;
  // The cost of the batch that would be taken now, estimated from those that ran.
  Duration StepCost() const override;
  bool MayRunOnLoop() const override { return executor_.MayRunOnLoop(); }

  int64_t queued() const;
  const RunnerStatistics& statistics() const { return statistics_; }

 private:
  // `self` keeps the runner alive when the caller has already gone and dropped its reference.
  static void Enqueue(std::shared_ptr<ModelRunner> self, const std::shared_ptr<Job>& job, const StopSource& stop,
                      Admission admission) noexcept;
  // True if the job waits now; false if it was stopped; otherwise the reason for its refusal.
  absl::StatusOr<bool> Push(const std::shared_ptr<Job>& job, const StopSource& stop, Admission admission);
  void OnStop(Job& job, StopReason reason) noexcept;
  // Whether there is room for the request, and time to answer it with that many workers.
  absl::Status Admit(const InferenceRequest& request, int64_t bytes, Admission admission, double workers,
                     TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The most rows of a batch; beyond that a row gets no cheaper.
  int64_t BatchRows() const;
  // The time until a worker is free.
  Duration UntilFree(double workers, TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The work of one step.
  struct Step {
    // What was taken from the queue; its batch is moved into `batch`.
    JobQueue::Taken taken;
    // A new batch, or what is left of one that failed.
    Bisection batch;
    bool failed = false;
    // Whether there is more to run at once.
    bool more = false;
    // When its batch is expected to end.
    TimePoint until = kNever;
  };
  Step TakeStep(TimePoint now, Duration shortest_run) noexcept;
  void RunBatch(Step& step, TimePoint now) noexcept;
  // Leaves the remaining jobs of a failed batch to later steps.
  void PutBack(Bisection& batch) noexcept;
  // Tells the pool that there is work, at once or at `then`. If there is no memory to note that, all waiting jobs are
  // refused.
  void Reschedule(bool at_once, TimePoint then) noexcept;
  void RefuseAll() noexcept;
  bool FailedIsNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteNextRows() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after the warm-up.
  Signature signature_;
  RunnerObserver& observer_;
  WorkScheduler& scheduler_;
  const Clock& clock_;
  const Duration max_delay_;

  RunnerStatistics statistics_;
  BatchExecutor executor_;
  // The number of steps taken; now and then one tries whether larger batches pay by now.
  std::atomic<uint32_t> steps_{0};
  // Rows of the batch that would be taken now. It is atomic because the pool asks for it often and under its own lock.
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
  absl::StatusOr<InferenceResult> await_resume();

 private:
  ModelRunner& runner_;
  const std::shared_ptr<Job> job_;
  StopSource& stop_;
  const Admission admission_;
  std::optional<StopCallback> on_stop_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_MODEL_RUNNER_H_
