#include "server/engine/batch_executor.h"

#include <optional>
#include <utility>

#include "server/async/work_status.h"
#include "server/engine/batch.h"

namespace predictd {
namespace {

int64_t RowsOf(absl::Span<const std::shared_ptr<Job>> jobs) {
  int64_t rows = 0;
  for (const auto& job : jobs) rows += job->request.rows;
  return rows;
}

// Whether the signature bounds the shapes of a batch of one row. Elements of BYTES have no bound.
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
                             RunnerStatistics& statistics, const Clock& clock, Duration loop_bound)
    : model_(std::move(model)),
      signature_(signature),
      observer_(observer),
      statistics_(statistics),
      clock_(clock),
      loop_gate_(loop_bound) {}

absl::StatusOr<WarmUpReport> BatchExecutor::WarmUp(const WarmUpOptions& options) {
  absl::StatusOr<WarmUpReport> report = predictd::WarmUp(*model_, signature_, options, clock_, cost_);
  if (!report.ok()) return report;
  open_extent_ = report->open_extent;
  const bool known = HasLargestShapes(signature_) && model_->cost_depends_on_shapes_only();
  loop_gate_.OnWarmedUp(known ? report->largest : std::nullopt);
  return report;
}

absl::Status BatchExecutor::Run(Jobs jobs) noexcept {
  InferenceTimings timings;
  timings.batch_rows = RowsOf(jobs);
  const auto count = static_cast<int64_t>(jobs.size());
  observer_.OnRunningChange(count);
  const bool watches = loop_gate_.watches();
  const Duration thread_started = watches ? clock_.ThreadTime() : Duration::zero();
  timings.started = clock_.Now();
  Outputs outputs = Compute(jobs, timings.batch_rows);
  timings.ended = clock_.Now();
  const Duration took = timings.ended - timings.started;
  const std::optional<Duration> thread_time =
      watches ? std::optional(clock_.ThreadTime() - thread_started) : std::nullopt;
  observer_.OnRunningChange(-count);
  observer_.OnBatch(timings.batch_rows, took);
  if (!outputs.ok()) {
    loop_gate_.OnFailure(timings.ended);
    return std::move(outputs).status();
  }
  // Only successful runs are recorded: a failing one may fail early or take long to report why, and says nothing about
  // what a batch costs.
  loop_gate_.OnRun(took, thread_time);
  cost_.Record(timings.batch_rows, took);
  statistics_.OnBatch(timings.batch_rows, timings.started, timings.ended);
  Deliver(jobs, *std::move(outputs), timings);
  return absl::OkStatus();
}

BatchExecutor::Outputs BatchExecutor::Compute(Jobs jobs, int64_t rows) noexcept {
  try {
    const std::vector<Tensor> inputs = StackInputs(jobs, signature_.padding, buffers_);
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
  for (const auto& job : jobs) {
    if (job->queued.refusable && job->request.deadline != kNever && !job->ended()) margin_.OnMet();
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

}  // namespace predictd
