#ifndef PREDICTD_SERVER_ENGINE_BATCH_EXECUTOR_H_
#define PREDICTD_SERVER_ENGINE_BATCH_EXECUTOR_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/engine/admission.h"
#include "server/engine/batch_buffers.h"
#include "server/engine/batch_cost.h"
#include "server/engine/inference.h"
#include "server/engine/job.h"
#include "server/engine/loop_gate.h"
#include "server/engine/runner_observer.h"
#include "server/engine/warm_up.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

// Computes batches of one model version, ends their jobs, and learns from it: what batches cost, and
// whether they are cheap enough for an event loop. Thread-safe.
class BatchExecutor {
 public:
  // `signature`, `observer` and `clock` outlive it. A batch that may run on an event loop takes at most `loop_bound`.
  BatchExecutor(std::unique_ptr<Model> model, const Signature& signature, RunnerObserver& observer, const Clock& clock,
                Duration loop_bound);

  // Runs the jobs together, on this thread, and ends each of them, if that works. Otherwise none has ended, and what is
  // returned says why: RESOURCE_EXHAUSTED if there was no memory.
  absl::Status Run(absl::Span<const std::shared_ptr<Job>> jobs) noexcept;

  // As WarmUp in warm_up.h, on this thread.
  absl::StatusOr<WarmUpReport> WarmUp(const WarmUpOptions& options);

  const BatchCost& cost() const { return cost_; }
  bool MayRunOnLoop() const { return loop_gate_.MayRun(clock_); }
  DeadlineMargin& margin() { return margin_; }
  const DeadlineMargin& margin() const { return margin_; }

 private:
  using Jobs = absl::Span<const std::shared_ptr<Job>>;
  using Outputs = absl::StatusOr<std::vector<Tensor>>;

  Outputs Compute(Jobs jobs, int64_t rows) noexcept;
  void Deliver(Jobs jobs, std::vector<Tensor> outputs, InferenceTimings timings) noexcept;
  // The job's part of the outputs of its batch, from that row on.
  absl::StatusOr<InferenceResult> ResultOf(const Job& job, Jobs batch, std::vector<Tensor>& outputs, int64_t first_row,
                                           InferenceTimings timings) const noexcept;

  const std::unique_ptr<Model> model_;
  const Signature& signature_;
  RunnerObserver& observer_;
  const Clock& clock_;

  BatchBuffers buffers_;
  BatchCost cost_;
  LoopGate loop_gate_;
  DeadlineMargin margin_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_EXECUTOR_H_
