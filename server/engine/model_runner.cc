#include "server/engine/model_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/engine/admission.h"
#include "server/engine/batch.h"
#include "server/model/retry_advice.h"

namespace predictd {

namespace {

// What stands in for an observer that nobody gave.
class NoObserver final : public RunnerObserver {
  void OnQueuedChange(int64_t /*by*/) override {}
  void OnRunningChange(int64_t /*by*/) override {}
  void OnBatch(int64_t /*rows*/, Duration /*compute*/) override {}
  void OnDequeued(Duration /*waited*/) override {}
};

// The cost of a model may depend on what is sent, and warm-up sends zeros: only after so many batches in a row that
// took no longer than this is its estimate taken for what the next one will take.
constexpr int kSteadyRuns = 8;
// One batch in so many may be as large as the model allows: what it costs is known anew.
constexpr uint32_t kExploreEvery = 64;
constexpr Duration kQuick = std::chrono::microseconds(500);

RunnerObserver& OrNone(RunnerObserver* observer) {
  static NoObserver none;
  return observer == nullptr ? none : *observer;
}

JobQueue::Options ForSignature(JobQueue::Options options, const Signature& signature) {
  options.max_rows = signature.max_batch_size;
  return options;
}

// When to try again, of something that takes that long to go by.
absl::Duration RetryDelay(Duration time) {
  return std::clamp(absl::FromChrono(time), absl::Milliseconds(1), absl::Seconds(10));
}

absl::Status MissError(Duration time, Duration left) {
  const auto rounded = [](Duration d) {
    return absl::FormatDuration(absl::Trunc(absl::FromChrono(d), absl::Microseconds(100)));
  };
  const std::string message = absl::StrCat("the request would miss its deadline: an answer takes about ", rounded(time),
                                           ", and ", rounded(left), " are left");
  return WithRetryAfter(absl::ResourceExhaustedError(message), RetryDelay(time));
}

}  // namespace

ModelRunner::ModelRunner(std::unique_ptr<Model> model, Signature signature, Options options, WorkScheduler& scheduler,
                         const Clock& clock)
    : WorkSource(options.share),
      model_(std::move(model)),
      signature_(std::move(signature)),
      observer_(OrNone(options.observer)),
      scheduler_(scheduler),
      clock_(clock),
      max_delay_(options.queue.max_delay),
      queue_(ForSignature(std::move(options.queue), signature_)) {}

ModelRunner::Inference ModelRunner::Infer(InferenceRequest request, StopSource& stop, Admission admission) {
  return Inference(*this, std::move(request), stop, admission);
}

bool ModelRunner::Inference::await_suspend(std::coroutine_handle<> waiter) {
  // Keeps the job beyond the moment when another thread resumes the coroutine, and with it destroys this awaiter.
  const std::shared_ptr<Job> job = job_;
  job->waiter.Prepare(waiter);
  on_stop_.emplace(stop_, [this] { runner_.OnStop(*job_, stop_.reason()); });
  Enqueue(runner_.shared_from_this(), job, stop_, admission_);
  return job->waiter.Suspended();
}

void ModelRunner::Enqueue(std::shared_ptr<ModelRunner> self, const std::shared_ptr<Job>& job, const StopSource& stop,
                          Admission admission) {
  BatchKey key = KeyOf(job->request, self->signature_);
  const int64_t bytes = InputBytes(job->request);
  // Without a deadline only the advice on when to retry depends on it, and asking takes the lock that all share.
  const double workers = job->request.deadline == kNever ? 1 : self->scheduler_.WorkersFor(*self);
  const TimePoint now = self->clock_.Now();
  absl::Status admitted;
  {
    MutexLock lock(self->mutex_);
    // Stopped before it got here: OnStop found nothing to remove and ends the job, or has ended it.
    if (stop.stopped()) return;
    // An idle model takes what comes: an estimate that is wrong would otherwise refuse everything, and never be put
    // right.
    const bool idle = self->queue_.size() == 0 && self->running_until_.empty();
    job->queued.refusable = admission != Admission::kReplacement && !idle;
    if (job->queued.refusable) admitted = self->Admit(job->request, bytes, admission, workers, now);
    if (admitted.ok()) {
      self->observer_.OnQueuedChange(1);
      self->queue_.Push(job, std::move(key), bytes, now);
    }
  }
  if (!admitted.ok()) {
    job->Complete(std::move(admitted));
    return;
  }
  WorkScheduler& scheduler = self->scheduler_;
  scheduler.Ready(std::move(self));
}

absl::Status ModelRunner::Admit(const InferenceRequest& request, int64_t bytes, Admission admission, double workers,
                                TimePoint now) const {
  const bool spare = admission != Admission::kIfSpare || 2 * queue_.size() < queue_.options().capacity;
  const bool room = spare && queue_.HasRoom(bytes);
  if (room && request.deadline == kNever) return absl::OkStatus();
  const LoadAhead load = {.rows_ahead = queue_.RowsAhead(request, now),
                          .rows = request.rows,
                          .max_batch_rows = BatchRows(),
                          .workers = workers,
                          .until_free = UntilFree(workers, now)};
  const Duration time = TimeToAnswer(load, cost_);
  if (!room) {
    const std::string message =
        absl::StrCat("the model's queue is full: ", queue_.size(), " requests of ", queue_.bytes(), " bytes wait");
    return WithRetryAfter(absl::ResourceExhaustedError(message), RetryDelay(time));
  }
  const Duration left = request.deadline - now;
  if (!margin_.WouldMiss(time, left)) return absl::OkStatus();
  return MissError(time, left);
}

int64_t ModelRunner::BatchRows() const {
  // Who says how long a batch may wait to become full wants it full.
  if (max_delay_ > Duration::zero()) return signature_.max_batch_size;
  return cost_.RowsThatPay(signature_.max_batch_size);
}

Duration ModelRunner::UntilFree(double workers, TimePoint now) const {
  if (running_until_.empty() || static_cast<double>(running_until_.size()) < workers) return Duration::zero();
  return std::max(Duration::zero(), *std::min_element(running_until_.begin(), running_until_.end()) - now);
}

void ModelRunner::OnStop(Job& job, StopReason reason) {
  bool was_queued = false;
  bool look_again = false;
  {
    MutexLock lock(mutex_);
    was_queued = queue_.Remove(job);
    // What waits for a larger batch may have waited for this one's time to be over.
    look_again = was_queued && queue_.size() > 0 && queue_.options().max_delay > Duration::zero();
  }
  if (was_queued) observer_.OnQueuedChange(-1);
  if (reason == StopReason::kDeadline && job.queued.refusable) margin_.OnMissed();
  if (look_again) scheduler_.Ready(shared_from_this());
  // The last thing: it may resume the coroutine, and with it end the job and this call's runner.
  job.Complete(StopStatus(reason, was_queued ? "the queue" : "the batch"));
}

Duration ModelRunner::StepCost() const {
  const Duration cost = cost_.Estimate(std::clamp<int64_t>(queued(), 1, signature_.max_batch_size));
  return cost > Duration::zero() ? cost : Duration::max();
}

bool ModelRunner::Steady() const {
  return quick_runs_.load(std::memory_order_relaxed) >= kSteadyRuns;
}

void ModelRunner::RunStep() {
  JobQueue::Taken taken;
  bool more = false;
  TimePoint until;
  const TimePoint now = clock_.Now();
  const Duration shortest_run = cost_.Estimate(1) / 2;
  const bool explore = steps_.fetch_add(1, std::memory_order_relaxed) % kExploreEvery == 0;
  const int64_t most_rows = explore ? signature_.max_batch_size : BatchRows();
  {
    MutexLock lock(mutex_);
    taken = queue_.Take(now, shortest_run, most_rows);
    more = queue_.size() > 0;
    if (!taken.batch.empty()) {
      int64_t rows = 0;
      for (const auto& job : taken.batch) rows += job->request.rows;
      until = now + cost_.Estimate(rows);
      running_until_.push_back(until);
    }
  }
  observer_.OnQueuedChange(-static_cast<int64_t>(taken.batch.size() + taken.expired.size() + taken.hopeless.size()));
  if (taken.look_again != kNever) {
    scheduler_.ReadyAt(shared_from_this(), taken.look_again);
  } else if (more) {
    scheduler_.Ready(shared_from_this());
  }
  for (const auto& job : taken.expired) job->Complete(StopStatus(StopReason::kDeadline, "the queue"));
  for (const auto& job : taken.hopeless) {
    margin_.OnMissed();
    job->Complete(MissError(2 * shortest_run, job->request.deadline - now));
  }
  if (taken.batch.empty()) return;
  for (const auto& job : taken.batch) observer_.OnDequeued(now - job->queued.at);
  RunBatch(taken.batch);
  MutexLock lock(mutex_);
  running_until_.erase(std::find(running_until_.begin(), running_until_.end(), until));
}

void ModelRunner::RunBatch(const Jobs& jobs) {
  InferenceTimings timings;
  for (const auto& job : jobs) timings.batch_rows += job->request.rows;
  observer_.OnRunningChange(static_cast<int64_t>(jobs.size()));
  timings.started = clock_.Now();
  absl::StatusOr<std::vector<Tensor>> outputs = Compute(jobs, timings.batch_rows);
  timings.ended = clock_.Now();
  observer_.OnRunningChange(-static_cast<int64_t>(jobs.size()));

  cost_.Record(timings.batch_rows, timings.ended - timings.started);
  const bool quick = timings.ended - timings.started <= kQuick;
  if (!quick || !Steady()) quick_runs_.store(quick ? quick_runs_ + 1 : 0, std::memory_order_relaxed);
  observer_.OnBatch(timings.batch_rows, timings.ended - timings.started);

  if (!outputs.ok() && jobs.size() > 1) {
    // One of them may be to blame: each on its own, so that only that one fails.
    for (const auto& job : jobs) {
      if (job->request.deadline <= clock_.Now()) job->Complete(StopStatus(StopReason::kDeadline, "the batch"));
      if (!job->ended()) RunBatch({job});
    }
    return;
  }
  for (const auto& job : jobs) {
    if (job->queued.refusable && job->request.deadline != kNever && !job->ended()) margin_.OnMet();
  }
  const Padding& padding = signature_.padding;
  if (jobs.size() == 1) {
    timings.enqueued = jobs[0]->queued.at;
    if (outputs.ok()) {
      jobs[0]->Complete(InferenceResult{CutOutputs(padding, jobs[0]->request.inputs, *std::move(outputs)), timings});
    } else {
      jobs[0]->Complete(std::move(outputs).status());
    }
    return;
  }
  int64_t first = 0;
  for (const auto& job : jobs) {
    const int64_t rows = job->request.rows;
    timings.enqueued = job->queued.at;
    std::vector<Tensor> slices = SliceRows(*outputs, first, rows);
    job->Complete(InferenceResult{CutOutputs(padding, job->request.inputs, std::move(slices)), timings});
    first += rows;
  }
}

absl::StatusOr<std::vector<Tensor>> ModelRunner::Compute(const Jobs& jobs, int64_t rows) {
  const std::vector<Tensor> inputs = StackInputs(jobs, signature_.padding, buffers_);
  absl::StatusOr<std::vector<Tensor>> outputs = model_->Run(inputs);
  if (!outputs.ok()) return outputs;
  if (absl::Status status = CheckOutputs(signature_, rows, jobs.front()->request.inputs, *outputs); !status.ok())
    return status;
  return outputs;
}

absl::Status ModelRunner::WarmUp(const WarmUpOptions& options) {
  return predictd::WarmUp(*model_, signature_, options, clock_, cost_);
}

int64_t ModelRunner::queued() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(queue_.size());
}

}  // namespace predictd
