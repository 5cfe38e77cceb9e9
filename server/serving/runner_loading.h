#ifndef PREDICTD_SERVER_SERVING_RUNNER_LOADING_H_
#define PREDICTD_SERVER_SERVING_RUNNER_LOADING_H_

#include <atomic>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/reaper.h"
#include "server/async/worker_pool.h"
#include "server/engine/model_runner.h"
#include "server/engine/warm_up.h"
#include "server/model/memory_plan.h"
#include "server/model/model.h"
#include "server/serving/loader.h"

namespace predictd {

// What tensor models are loaded with and run on. Everything outlives what is loaded.
struct RunnerResources {
  WorkerPool& pool;
  Reaper& reaper;
  const Clock& clock;
  MemoryPlan& memory;
  // Reads a model from the version's file.
  std::function<absl::StatusOr<std::unique_ptr<Model>>(const ServedVersion&)> load;
  // Null if nobody wants to observe.
  std::function<std::shared_ptr<RunnerObserver>(const ServedVersion&)> observer = nullptr;
  // Measures what runs take; may be null.
  MemoryGauge* gauge = nullptr;
  // See ModelRunner::Options.
  Duration loop_bound = Duration::zero();
};

// Reads a tensor model and warms it up on every worker, run by run, so that the worker serves others between two runs.
// The runner ends on the reaper. Returns the model's error; RESOURCE_EXHAUSTED with the figures if it does not fit into
// memory; CANCELLED soon after `stopping` has become true. Takes seconds.
absl::StatusOr<std::shared_ptr<ModelRunner>> LoadRunner(ServedVersion& version, const RunnerResources& resources,
                                                        const std::atomic<bool>& stopping, LoadFindings& findings);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_RUNNER_LOADING_H_
