#ifndef PREDICTD_SERVER_ENGINE_RUNNER_OBSERVER_H_
#define PREDICTD_SERVER_ENGINE_RUNNER_OBSERVER_H_

#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// Is told what a runner does, on any thread; must be quick and must not throw. By default it does nothing. The changes
// add up to 0 when nothing is left.
class RunnerObserver {
 public:
  virtual ~RunnerObserver() = default;
  // The number of waiting requests, and of requests in running batches.
  virtual void OnQueuedChange(int64_t /*by*/) {}
  virtual void OnRunningChange(int64_t /*by*/) {}
  virtual void OnBatch(int64_t /*rows*/, Duration /*compute*/) {}
  virtual void OnDequeued(Duration /*waited*/) {}
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_RUNNER_OBSERVER_H_
