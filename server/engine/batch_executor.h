#ifndef PREDICTD_SERVER_ENGINE_BATCH_EXECUTOR_H_
#define PREDICTD_SERVER_ENGINE_BATCH_EXECUTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/engine/admission.h"
#include "server/engine/answer_check.h"
#include "server/engine/batch_buffers.h"
#include "server/engine/batch_cost.h"
#include "server/engine/inference.h"
#include "server/engine/job.h"
#include "server/engine/loop_gate.h"
#include "server/engine/runner_observer.h"
#include "server/engine/runner_statistics.h"
#include "server/engine/warm_up.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

// Computes batches of one model version and ends their jobs. Learns from each what batches cost and whether they are
// cheap enough for an event loop. Thread-safe.
class BatchExecutor {
 public:
  // `signature`, `observer`, `statistics` and `clock` outlive it. Batches run on an event loop only if they take at
  // most `loop_bound`.
  BatchExecutor(std::unique_ptr<Model> model, const Signature& signature, RunnerObserver& observer,
                RunnerStatistics& statistics, const Clock& clock, Duration loop_bound);

  // Runs the jobs together on this thread and, if that succeeds, ends each of them. Otherwise no job has ended and the
  // status says why: RESOURCE_EXHAUSTED if there was no memory.
  absl::Status Run(absl::Span<const std::shared_ptr<Job>> jobs) noexcept;

  // See WarmUp in warm_up.h. Runs on this thread.
  absl::StatusOr<WarmUpReport> WarmUp(const WarmUpOptions& options);

  // See CheckAnswers in answer_check.h. Runs on this thread, after the warm-up.
  AnswerCheck CheckAnswers() { return predictd::CheckAnswers(*model_, signature_, clock_, open_extent_); }
  // See Model.
  const Caveats& caveats() const { return model_->caveats(); }
  void ForgetRuns() { model_->ForgetRuns(); }
  // See Model. It also keeps the model off event loops.
  void RunOneAtATime() {
    model_->RunOneAtATime();
    loop_gate_.OnWarmedUp(std::nullopt);
  }

  const BatchCost& cost() const { return cost_; }
  bool MayRunOnLoop() const { return loop_gate_.MayRun(clock_); }
  DeadlineMargin& margin() { return margin_; }
  const DeadlineMargin& margin() const { return margin_; }

 private:
  using Jobs = absl::Span<const std::shared_ptr<Job>>;
  using Outputs = absl::StatusOr<std::vector<Tensor>>;

  Outputs Compute(Jobs jobs, int64_t rows) noexcept;
  void Deliver(Jobs jobs, std::vector<Tensor> outputs, InferenceTimings timings) noexcept;
  // The job's part of its batch's outputs, which begins at `first_row`.
  absl::StatusOr<InferenceResult> ResultOf(const Job& job, Jobs batch, std::vector<Tensor>& outputs, int64_t first_row,
                                           InferenceTimings timings) const noexcept;

  const std::unique_ptr<Model> model_;
  const Signature& signature_;
  RunnerObserver& observer_;
  RunnerStatistics& statistics_;
  const Clock& clock_;

  BatchBuffers buffers_;
  BatchCost cost_;
  LoopGate loop_gate_;
  DeadlineMargin margin_;
  // The extent that the last warm-up used for open dimensions whose extent is unknown.
  int64_t open_extent_ = 1;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_EXECUTOR_H_
