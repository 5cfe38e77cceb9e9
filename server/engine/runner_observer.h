#ifndef PREDICTD_SERVER_ENGINE_RUNNER_OBSERVER_H_
#define PREDICTD_SERVER_ENGINE_RUNNER_OBSERVER_H_

#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// Told what a runner does, on any thread; must be quick and must not throw. The changes add up to 0 when nothing is
// left.
class RunnerObserver {
 public:
  virtual ~RunnerObserver() = default;
  // Requests that wait, and requests in batches that run.
  virtual void OnQueuedChange(int64_t by) = 0;
  virtual void OnRunningChange(int64_t by) = 0;
  virtual void OnBatch(int64_t rows, Duration compute) = 0;
  virtual void OnDequeued(Duration waited) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_RUNNER_OBSERVER_H_
