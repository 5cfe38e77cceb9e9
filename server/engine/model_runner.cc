#include "server/engine/model_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/engine/batch.h"
#include "server/model/retry_advice.h"

namespace predictd {

namespace {

// So many requests are few: their batch costs little more than one alone.
constexpr size_t kSmallBatch = 8;

// Warm-up takes no batch whose inputs have more elements than this.
constexpr int64_t kMaxWarmUpElements = int64_t{1} << 26;

// Of all inputs together, with open dimensions as 1.
int64_t ElementsOfRow(const Signature& signature) {
  int64_t elements = 0;
  for (const TensorSpec& spec : signature.inputs) {
    Shape shape = spec.shape;
    std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
    elements += ElementCount(shape).value_or(kMaxWarmUpElements);
  }
  return std::max<int64_t>(1, elements);
}

// Exponential moving average. Two threads at once may lose one of the values, which does not matter.
void Smooth(int64_t value, std::atomic<int64_t>& average) {
  const int64_t old = average.load(std::memory_order_relaxed);
  average.store(old == 0 ? value : old + (value - old) / 8, std::memory_order_relaxed);
}

// What stands in for an observer that nobody gave.
class NoObserver final : public RunnerObserver {
  void OnQueuedChange(int64_t /*by*/) override {}
  void OnRunningChange(int64_t /*by*/) override {}
  void OnBatch(int64_t /*rows*/, Duration /*compute*/) override {}
  void OnDequeued(Duration /*waited*/) override {}
};

NoObserver no_observer;

}  // namespace

ModelRunner::ModelRunner(std::unique_ptr<Model> model, Signature signature, Options options, WorkerPool& pool,
                         const Clock& clock)
    : model_(std::move(model)),
      signature_(std::move(signature)),
      options_(options),
      observer_(options.observer != nullptr ? *options.observer : no_observer),
      pool_(pool),
      clock_(clock),
      queue_(options.queue_capacity) {}

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
  bool full = false;
  {
    MutexLock lock(self->mutex_);
    // Stopped before it got here: OnStop found nothing to remove and ends the job, or has ended it.
    if (stop.stopped()) return;
    full = admission == Admission::kIfRoom && self->queue_.full();
    if (!full) {
      self->observer_.OnQueuedChange(1);
      self->queue_.Push(job, self->clock_.Now());
    }
  }
  if (full) {
    const std::string message =
        absl::StrCat("the model's queue is full: ", self->options_.queue_capacity, " requests wait");
    job->Complete(WithRetryAfter(absl::ResourceExhaustedError(message), self->RetryDelay()));
    return;
  }
  WorkerPool& pool = self->pool_;
  pool.Ready(std::move(self));
}

void ModelRunner::OnStop(Job& job, StopReason reason) {
  bool was_queued = false;
  {
    MutexLock lock(mutex_);
    was_queued = queue_.Remove(job);
  }
  if (was_queued) observer_.OnQueuedChange(-1);
  // The last thing: it may resume the coroutine, and with it end the job and this call's runner.
  job.Complete(StopStatus(reason, was_queued ? "the queue" : "the batch"));
}

Duration ModelRunner::StepCost() const {
  const int64_t nanos = small_batch_nanos_.load(std::memory_order_relaxed);
  const bool known_and_small = nanos > 0 && queued() <= static_cast<int64_t>(kSmallBatch);
  return known_and_small ? Duration(nanos) : Duration::max();
}

void ModelRunner::RunStep() {
  JobQueue::Taken taken;
  bool more = false;
  const TimePoint now = clock_.Now();
  {
    MutexLock lock(mutex_);
    taken = queue_.Take(now, signature_.max_batch_size);
    more = queue_.size() > 0;
  }
  observer_.OnQueuedChange(-static_cast<int64_t>(taken.batch.size() + taken.expired.size()));
  if (more) pool_.Ready(shared_from_this());
  for (const auto& job : taken.expired) job->Complete(StopStatus(StopReason::kDeadline, "the queue"));
  if (taken.batch.empty()) return;
  for (const auto& job : taken.batch) observer_.OnDequeued(now - job->enqueued);
  RunBatch(taken.batch);
}

void ModelRunner::RunBatch(const Jobs& jobs) {
  InferenceTimings timings;
  for (const auto& job : jobs) timings.batch_rows += job->request.rows;
  observer_.OnRunningChange(static_cast<int64_t>(jobs.size()));
  timings.started = clock_.Now();
  absl::StatusOr<std::vector<Tensor>> outputs = Compute(jobs, timings.batch_rows);
  timings.ended = clock_.Now();
  observer_.OnRunningChange(-static_cast<int64_t>(jobs.size()));

  const int64_t nanos = std::chrono::nanoseconds(timings.ended - timings.started).count();
  Smooth(nanos, batch_nanos_);
  if (jobs.size() <= kSmallBatch) Smooth(nanos, small_batch_nanos_);
  observer_.OnBatch(timings.batch_rows, timings.ended - timings.started);

  if (!outputs.ok() && jobs.size() > 1) {
    // One of them may be to blame: each on its own, so that only that one fails.
    for (const auto& job : jobs) {
      if (!job->ended()) RunBatch({job});
    }
    return;
  }
  if (jobs.size() == 1) {
    timings.enqueued = jobs[0]->enqueued;
    if (outputs.ok()) {
      jobs[0]->Complete(InferenceResult{*std::move(outputs), timings});
    } else {
      jobs[0]->Complete(std::move(outputs).status());
    }
    return;
  }
  int64_t first = 0;
  for (const auto& job : jobs) {
    const int64_t rows = job->request.rows;
    timings.enqueued = job->enqueued;
    job->Complete(InferenceResult{SliceRows(*outputs, first, rows), timings});
    first += rows;
  }
}

absl::StatusOr<std::vector<Tensor>> ModelRunner::Compute(const Jobs& jobs, int64_t rows) {
  const std::vector<Tensor> inputs = StackInputs(jobs);
  absl::StatusOr<std::vector<Tensor>> outputs = model_->Run(inputs);
  if (!outputs.ok()) return outputs;
  if (absl::Status status = CheckOutputs(signature_, rows, *outputs); !status.ok()) return status;
  return outputs;
}

absl::Status ModelRunner::WarmUp(int rounds) {
  std::vector<int64_t> sizes = {1};
  const int64_t most = std::min(signature_.max_batch_size, kMaxWarmUpElements / ElementsOfRow(signature_));
  if (most > 1) sizes.push_back(most);
  for (int64_t rows : sizes) {
    InferenceRequest request;
    request.rows = rows;
    for (const TensorSpec& spec : signature_.inputs) {
      Shape shape = spec.shape;
      std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
      if (signature_.batched) shape[0] = rows;
      const int64_t elements = ElementCount(shape).value_or(0);
      if (spec.dtype == DType::kBytes) {
        request.inputs.emplace_back(shape, std::make_shared<std::vector<std::string>>(elements));
      } else {
        std::byte* fill = nullptr;
        request.inputs.push_back(Tensor::Allocate(spec.dtype, shape, &fill));
        std::fill_n(fill, request.inputs.back().byte_size(), std::byte{0});
      }
    }
    const Jobs jobs = {std::make_shared<Job>(std::move(request))};
    for (int i = 0; i < rounds; ++i) {
      absl::StatusOr<std::vector<Tensor>> outputs = Compute(jobs, rows);
      if (!outputs.ok()) return outputs.status();
    }
  }
  return absl::OkStatus();
}

int64_t ModelRunner::queued() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(queue_.size());
}

absl::Duration ModelRunner::RetryDelay() const {
  const int64_t batches = queued() / std::max<int64_t>(1, signature_.max_batch_size) / pool_.workers() + 1;
  const absl::Duration drained = absl::Nanoseconds(batch_nanos_.load(std::memory_order_relaxed)) * batches;
  return std::clamp(drained, absl::Milliseconds(1), absl::Seconds(10));
}

}  // namespace predictd
