#include "server/engine/model_runner.h"

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/retry_advice.h"
#include "server/async/work_status.h"
#include "server/engine/batch.h"

namespace predictd {

namespace {

// One batch in this many may be as large as the model allows, so that its cost is measured anew.
constexpr uint32_t kExploreEvery = 64;

// This many failed batches may wait while new ones have their turn. The more there are, the longer other callers wait
// because of the callers whose requests make batches fail, and the less of the model's time goes into finding those
// requests.
constexpr size_t kMostFailed = 16;

RunnerObserver& OrNone(RunnerObserver* observer) {
  static RunnerObserver none;
  return observer == nullptr ? none : *observer;
}

JobQueue::Options ForSignature(JobQueue::Options options, const Signature& signature) {
  options.max_rows = signature.max_batch_size;
  return options;
}

}  // namespace

ModelRunner::ModelRunner(std::unique_ptr<Model> model, Signature signature, Options options, WorkScheduler& scheduler,
                         const Clock& clock)
    : WorkSource(options.share),
      signature_(std::move(signature)),
      observer_(OrNone(options.observer)),
      scheduler_(scheduler),
      clock_(clock),
      max_delay_(options.queue.max_delay),
      statistics_(signature_.max_batch_size),
      executor_(std::move(model), signature_, observer_, statistics_, clock, options.loop_bound),
      queue_(ForSignature(std::move(options.queue), signature_)) {}

absl::StatusOr<WarmUpReport> ModelRunner::WarmUp(const WarmUpOptions& options) {
  absl::StatusOr<WarmUpReport> report = executor_.WarmUp(options);
  if (!report.ok() || report->most_rows >= signature_.max_batch_size) return report;
  signature_.max_batch_size = report->most_rows;
  MutexLock lock(mutex_);
  queue_.LimitRows(report->most_rows);
  return report;
}

ModelRunner::Inference ModelRunner::Infer(InferenceRequest request, StopSource& stop, Admission admission) {
  return Inference(*this, std::move(request), stop, admission);
}

bool ModelRunner::Inference::await_suspend(std::coroutine_handle<> waiter) {
  // Keeps the job alive after another thread resumes the coroutine, which destroys this awaiter.
  const std::shared_ptr<Job> job = job_;
  job->waiter.Prepare(waiter);
  on_stop_.emplace(stop_, [this] { runner_.OnStop(*job_, stop_.reason()); });
  Enqueue(runner_.shared_from_this(), job, stop_, admission_);
  return job->waiter.TrySuspend();
}

absl::StatusOr<InferenceResult> ModelRunner::Inference::await_resume() {
  absl::StatusOr<InferenceResult> result = job_->TakeResult();
  if (result.ok()) {
    runner_.statistics_.OnAnswered(result->timings);
  } else {
    const bool was_queued = job_->queued.at != kNever;
    runner_.statistics_.OnFailed(was_queued ? runner_.clock_.Now() - job_->queued.at : Duration::zero(),
                                 absl::IsInternal(result.status()));
  }
  return result;
}

void ModelRunner::Enqueue(std::shared_ptr<ModelRunner> self, const std::shared_ptr<Job>& job, const StopSource& stop,
                          Admission admission) noexcept {
  ModelRunner& runner = *self;
  try {
    absl::StatusOr<bool> pushed = runner.Push(job, stop, admission);
    if (!pushed.ok()) {
      job->Complete(std::move(pushed).status());
    } else if (*pushed) {
      WorkScheduler& scheduler = runner.scheduler_;
      scheduler.Ready(std::move(self));
    }
  } catch (...) {
    bool was_queued = false;
    {
      MutexLock lock(runner.mutex_);
      was_queued = runner.queue_.Remove(*job);
      runner.NoteNextRows();
    }
    if (was_queued) runner.observer_.OnQueuedChange(-1);
    job->Complete(StatusOfException());
  }
}

absl::StatusOr<bool> ModelRunner::Push(const std::shared_ptr<Job>& job, const StopSource& stop, Admission admission) {
  BatchKey key = KeyOf(job->request, signature_);
  const int64_t bytes = InputBytes(job->request);
  // Without a deadline only the advice on when to retry depends on it, and asking takes the lock that all models share.
  const double workers = job->request.deadline == kNever ? 1 : scheduler_.WorkersFor(*this);
  const TimePoint now = clock_.Now();
  MutexLock lock(mutex_);
  // The request was stopped before it got here: OnStop found nothing to remove, and ends or has ended the job.
  if (stop.stopped()) return false;
  // An idle model admits any request: otherwise a wrong estimate would refuse everything and never be corrected.
  const bool idle = queue_.size() == 0 && failed_.empty() && running_until_.empty();
  job->queued.refusable = admission != Admission::kReplacement && !idle;
  if (job->queued.refusable) {
    absl::Status admitted = Admit(job->request, bytes, admission, workers, now);
    if (!admitted.ok()) return admitted;
  }
  queue_.Push(job, std::move(key), bytes, now);
  observer_.OnQueuedChange(1);
  NoteNextRows();
  return true;
}

bool ModelRunner::FailedIsNext() const {
  return !failed_.empty() && (failed_turn_ || queue_.size() == 0 || failed_.size() >= kMostFailed);
}

void ModelRunner::NoteNextRows() {
  next_rows_.store(FailedIsNext() ? failed_.front().NextRows() : queue_.NextRows(), std::memory_order_relaxed);
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
  const Duration time = TimeToAnswer(load, executor_.cost());
  if (!room) {
    const std::string message =
        absl::StrCat("the model's queue is full: ", queue_.size(), " requests of ", queue_.bytes(), " bytes wait");
    // Before then nothing leaves the queue, even if workers are free.
    return WithRetryAfter(absl::ResourceExhaustedError(message), RetryDelay(std::max(time, queue_.UntilTaken(now))));
  }
  const Duration left = request.deadline - now;
  if (!executor_.margin().WouldMiss(time, left)) return absl::OkStatus();
  return MissStatus(time, left);
}

int64_t ModelRunner::BatchRows() const {
  // A model with a configured delay is meant to wait for full batches.
  if (max_delay_ > Duration::zero()) return signature_.max_batch_size;
  return executor_.cost().RowsThatPay(signature_.max_batch_size);
}

Duration ModelRunner::UntilFree(double workers, TimePoint now) const {
  if (running_until_.empty() || static_cast<double>(running_until_.size()) < workers) return Duration::zero();
  return std::max(Duration::zero(), *std::min_element(running_until_.begin(), running_until_.end()) - now);
}

void ModelRunner::OnStop(Job& job, StopReason reason) noexcept {
  bool was_queued = false;
  bool look_again = false;
  {
    MutexLock lock(mutex_);
    was_queued = queue_.Remove(job);
    // Jobs that wait for a larger batch may have waited only for this job's time to be over.
    look_again = was_queued && queue_.size() > 0 && queue_.options().max_delay > Duration::zero();
    NoteNextRows();
  }
  if (was_queued) observer_.OnQueuedChange(-1);
  if (reason == StopReason::kDeadline && job.queued.refusable) executor_.margin().OnMissed();
  if (look_again) Reschedule(/*at_once=*/true, kNever);
  // This comes last: it may resume the coroutine, which may destroy the job and the runner of this call.
  job.Complete(StopStatus(reason, was_queued ? "the queue" : "the batch"));
}

Duration ModelRunner::StepCost() const {
  const int64_t rows = next_rows_.load(std::memory_order_relaxed);
  // The cost of more rows than a batch has was never measured.
  if (rows > signature_.max_batch_size) return Duration::max();
  const Duration cost = executor_.cost().Estimate(std::max<int64_t>(rows, 1));
  return cost > Duration::zero() ? cost : Duration::max();
}

ModelRunner::Step ModelRunner::TakeStep(TimePoint now, Duration shortest_run) noexcept {
  const bool explore = steps_.fetch_add(1, std::memory_order_relaxed) % kExploreEvery == 0;
  const JobQueue::TakeOptions options = {.shortest_run = shortest_run,
                                         .most_rows = explore ? signature_.max_batch_size : BatchRows()};
  Step step;
  MutexLock lock(mutex_);
  if (!FailedIsNext()) {
    step.taken = queue_.Take(now, options);
    step.batch = Bisection(std::move(step.taken.batch));
  }
  if (step.batch.empty() && !failed_.empty()) {
    step.batch = std::move(failed_.front());
    step.failed = true;
    failed_.erase(failed_.begin());
  }
  failed_turn_ = !step.failed;
  step.more = !failed_.empty() || (queue_.size() > 0 && step.taken.look_again == kNever);
  NoteNextRows();
  if (step.batch.empty()) return step;
  try {
    running_until_.push_back(now + executor_.cost().Estimate(step.batch.NextRows()));
    step.until = running_until_.back();
  } catch (const std::bad_alloc&) {
    // Requests that arrive then do not know of this batch.
  }
  return step;
}

void ModelRunner::RunStep() noexcept {
  const TimePoint now = clock_.Now();
  const Duration shortest_run = executor_.cost().Estimate(1) / 2;
  Step step = TakeStep(now, shortest_run);
  const JobQueue::Taken& taken = step.taken;
  observer_.OnQueuedChange(-static_cast<int64_t>(step.batch.size() + taken.expired.size() + taken.hopeless.size()));
  if (taken.look_again != kNever) Reschedule(/*at_once=*/false, taken.look_again);
  if (step.more) Reschedule(/*at_once=*/true, kNever);
  for (const auto& job : taken.expired) job->Complete(StopStatus(StopReason::kDeadline, "the queue"));
  for (const auto& job : taken.hopeless) {
    executor_.margin().OnMissed();
    job->Complete(MissStatus(2 * shortest_run, job->request.deadline - now));
  }
  if (!step.batch.empty()) RunBatch(step, now);
}

void ModelRunner::RunBatch(Step& step, TimePoint now) noexcept {
  const absl::Span<const std::shared_ptr<Job>> jobs = step.batch.Next(now);
  if (!jobs.empty()) {
    if (!step.failed) {
      for (const auto& job : jobs) observer_.OnDequeued(now - job->queued.at);
    }
    absl::Status status = executor_.Run(jobs);
    if (status.ok()) {
      step.batch.OnWorked();
    } else {
      step.batch.OnFailed(std::move(status));
    }
  }
  {
    MutexLock lock(mutex_);
    const auto noted = std::find(running_until_.begin(), running_until_.end(), step.until);
    if (noted != running_until_.end()) running_until_.erase(noted);
  }
  if (!step.batch.empty()) PutBack(step.batch);
}

void ModelRunner::PutBack(Bisection& batch) noexcept {
  const auto size = static_cast<int64_t>(batch.size());
  try {
    MutexLock lock(mutex_);
    failed_.push_back(std::move(batch));
    observer_.OnQueuedChange(size);
    NoteNextRows();
  } catch (const std::bad_alloc&) {
    // There was no room for it, so it was not moved from.
    batch.EndAll(OutOfMemoryStatus());
    return;
  }
  Reschedule(/*at_once=*/true, kNever);
}

void ModelRunner::Reschedule(bool at_once, TimePoint then) noexcept {
  try {
    if (at_once) {
      scheduler_.Ready(shared_from_this());
    } else {
      scheduler_.ReadyAt(shared_from_this(), then);
    }
  } catch (const std::bad_alloc&) {
    RefuseAll();
  }
}

void ModelRunner::RefuseAll() noexcept {
  std::vector<Bisection> failed;
  {
    MutexLock lock(mutex_);
    failed.swap(failed_);
  }
  for (Bisection& batch : failed) {
    observer_.OnQueuedChange(-static_cast<int64_t>(batch.size()));
    batch.EndAll(OutOfMemoryStatus());
  }
  while (true) {
    std::shared_ptr<Job> job;
    {
      MutexLock lock(mutex_);
      job = queue_.TakeFirst();
      NoteNextRows();
    }
    if (job == nullptr) return;
    observer_.OnQueuedChange(-1);
    job->Complete(OutOfMemoryStatus());
  }
}

int64_t ModelRunner::queued() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(queue_.size());
}

}  // namespace predictd
