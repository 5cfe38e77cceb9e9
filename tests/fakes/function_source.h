#ifndef PREDICTD_TESTS_FAKES_FUNCTION_SOURCE_H_
#define PREDICTD_TESTS_FAKES_FUNCTION_SOURCE_H_

#include <functional>
#include <memory>
#include <utility>

#include "server/async/worker_pool.h"

namespace predictd {

// A WorkSource whose steps are a function. Owned by the test and the pool; the function runs on any thread that the
// pool chooses.
class FunctionSource final : public WorkSource {
 public:
  explicit FunctionSource(std::function<void()> step, Duration cost = Duration::max(), Share share = {})
      : WorkSource(share), step_(std::move(step)), cost_(cost) {}

  void RunStep() override { step_(); }
  Duration StepCost() const override { return cost_; }
  bool MayRunOnLoop() const override { return true; }

 private:
  const std::function<void()> step_;
  const Duration cost_;
};

// Returns when a worker of the pool sleeps. The pool must run cheap steps inline (max_inline_cost > 0) and must have
// nothing to do: a cheap step at the end of a WakeupBatch then runs on this thread exactly if a worker sleeps, and
// wakes none.
inline void AwaitSleepingWorker(WorkerPool& pool) {
  const std::thread::id here = std::this_thread::get_id();
  bool ran_here = false;
  while (!ran_here) {
    Mutex mutex;
    CondVar ran_somewhere;
    bool ran = false;
    const auto probe = std::make_shared<FunctionSource>(
        [&] {
          MutexLock lock(mutex);
          ran = true;
          ran_here = std::this_thread::get_id() == here;
          ran_somewhere.NotifyAll();
        },
        Duration::zero());
    {
      const WorkerPool::WakeupBatch batch(pool);
      pool.Ready(probe);
    }
    MutexLock lock(mutex);
    while (!ran) ran_somewhere.Wait(mutex);
  }
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_FUNCTION_SOURCE_H_
