#include "server/engine/batch_executor.h"

#include <optional>
#include <utility>

#include "server/engine/batch.h"

namespace predictd {
namespace {

int64_t RowsOf(absl::Span<const std::shared_ptr<Job>> jobs) {
  int64_t rows = 0;
  for (const auto& job : jobs) rows += job->request.rows;
  return rows;
}

// Whether the signature bounds what a batch of one row can ask for. Elements of BYTES have no bound.
bool HasLargestShapes(const Signature& signature) {
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const TensorSpec& input = signature.inputs[i];
    if (input.dtype == DType::kBytes) return false;
    const PaddedInput* const padded = signature.padding.Find(i);
    for (size_t d = signature.batched ? 1 : 0; d < input.shape.size(); ++d) {
      const bool bounded = padded != nullptr && padded->dimension == d;
      if (input.shape[d] == -1 && !bounded) return false;
    }
  }
  return true;
}

}  // namespace

BatchExecutor::BatchExecutor(std::unique_ptr<Model> model, const Signature& signature, RunnerObserver& observer,
                             const Clock& clock, Duration loop_bound)
    : model_(std::move(model)), signature_(signature), observer_(observer), clock_(clock), loop_gate_(loop_bound) {
  // Made before it is needed.
  static_cast<void>(OutOfMemoryStatus());
}

void BatchExecutor::Run(Jobs jobs) noexcept {
  RunTogether(jobs, /*failed=*/false);
}

absl::StatusOr<WarmUpReport> BatchExecutor::WarmUp(const WarmUpOptions& options) {
  absl::StatusOr<WarmUpReport> report = predictd::WarmUp(*model_, signature_, options, clock_, cost_);
  if (!report.ok()) return report;
  const bool known = HasLargestShapes(signature_) && model_->cost_depends_on_shapes_only();
  loop_gate_.OnWarmedUp(known ? report->largest : std::nullopt);
  return report;
}

bool BatchExecutor::RunTogether(Jobs jobs, bool failed) noexcept {
  InferenceTimings timings;
  timings.batch_rows = RowsOf(jobs);
  const auto count = static_cast<int64_t>(jobs.size());
  observer_.OnRunningChange(count);
  const bool watches = loop_gate_.watches();
  const Duration thread_started = watches ? clock_.ThreadTime() : Duration::zero();
  timings.started = clock_.Now();
  bool stacked = false;
  Outputs outputs = Compute(jobs, timings.batch_rows, stacked);
  timings.ended = clock_.Now();
  const Duration took = timings.ended - timings.started;
  loop_gate_.OnRun(took, watches ? std::optional(clock_.ThreadTime() - thread_started) : std::nullopt);
  observer_.OnRunningChange(-count);
  observer_.OnBatch(timings.batch_rows, took);

  if (outputs.ok()) {
    // Only then: what fails may fail early, and says nothing of what a batch costs.
    cost_.Record(timings.batch_rows, took);
    Deliver(jobs, *std::move(outputs), timings);
    return true;
  }
  if (stacked && jobs.size() > 1) {
    RunHalves(jobs);
    return false;
  }
  if (stacked) Blame(*jobs.front(), failed);
  // The last one gets the status itself: who resumes goes on with it at once.
  absl::Status status = std::move(outputs).status();
  for (const auto& job : jobs.first(jobs.size() - 1)) job->Complete(status);
  jobs.back()->Complete(std::move(status));
  return false;
}

void BatchExecutor::RunHalves(Jobs jobs) noexcept {
  const Jobs first = jobs.first(jobs.size() / 2);
  const Jobs second = jobs.subspan(jobs.size() / 2);
  const bool first_worked = RunPart(first);
  // Then the other half is to blame, and need not fail as a whole again.
  if (first_worked && second.size() > 1) {
    RunHalves(second);
  } else {
    RunPart(second);
  }
}

bool BatchExecutor::RunPart(Jobs jobs) noexcept {
  size_t live = 0;
  for (std::shared_ptr<Job>& job : jobs) {
    if (job->request.deadline <= clock_.Now()) job->Complete(StopStatus(StopReason::kDeadline, "the batch"));
    if (!job->ended()) std::swap(jobs[live++], job);
  }
  // Nobody is left who could have failed: that says nothing of the others.
  return live > 0 && RunTogether(jobs.first(live), /*failed=*/true);
}

BatchExecutor::Outputs BatchExecutor::Compute(Jobs jobs, int64_t rows, bool& stacked) noexcept {
  try {
    const std::vector<Tensor> inputs = StackInputs(jobs, signature_.padding, buffers_);
    stacked = true;
    Outputs outputs = model_->Run(inputs);
    if (!outputs.ok()) return outputs;
    absl::Status status = CheckOutputs(signature_, rows, jobs.front()->request.inputs, *outputs);
    if (!status.ok()) return status;
    return outputs;
  } catch (...) {
    return StatusOfException();
  }
}

void BatchExecutor::Deliver(Jobs jobs, std::vector<Tensor> outputs, InferenceTimings timings) noexcept {
  const bool alarm = quarantine_.alarm(timings.ended);
  for (const auto& job : jobs) {
    if (job->queued.refusable && job->request.deadline != kNever && !job->ended()) margin_.OnMet();
    if (alarm) quarantine_.OnInnocent(job->queued.origin);
  }
  int64_t first_row = 0;
  for (const auto& job : jobs) {
    job->Complete(ResultOf(*job, jobs, outputs, first_row, timings));
    first_row += job->request.rows;
  }
}

absl::StatusOr<InferenceResult> BatchExecutor::ResultOf(const Job& job, Jobs batch, std::vector<Tensor>& outputs,
                                                        int64_t first_row, InferenceTimings timings) const noexcept {
  try {
    timings.enqueued = job.queued.at;
    std::vector<Tensor> own = batch.size() == 1 ? std::move(outputs) : SliceRows(outputs, first_row, job.request.rows);
    return InferenceResult{CutOutputs(signature_.padding, job.request.inputs, std::move(own)), timings};
  } catch (...) {
    return StatusOfException();
  }
}

void BatchExecutor::Blame(const Job& job, bool failed) noexcept {
  const TimePoint now = clock_.Now();
  // Who fails alone, and has not made others fail, harms nobody.
  if (failed || quarantine_.alarm(now)) quarantine_.OnGuilty(job.queued.origin, now);
}

}  // namespace predictd
