#ifndef PREDICTD_SERVER_ASYNC_WORKER_POOL_H_
#define PREDICTD_SERVER_ASYNC_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "server/async/clock.h"
#include "server/async/mutex.h"

namespace predictd {

// Something that has work for the pool, in steps: a model with a queue of requests, a generator with running sequences.
class WorkSource {
 public:
  virtual ~WorkSource() = default;

  // Takes and does one step (a batch). Called on a worker, possibly on several at once. If more is waiting it calls
  // WorkerPool::Ready before it starts to compute, so that an idle worker can join in.
  virtual void RunStep() = 0;

  // About how long the next step will take. What is not known is long.
  virtual Duration StepCost() const { return Duration::max(); }

 private:
  friend class WorkerPool;
  bool listed_ = false;  // guarded by WorkerPool::mutex_
};

// The fixed set of threads on which all models compute.
//
// Pull-based: what is ready stands in a ring, a free worker takes the source at its front, and the source decides only
// then what the step is. So batches form while workers are busy, and sources take turns. Thread-safe.
class WorkerPool {
 public:
  struct Options {
    int workers = 1;
    // Runs first on each worker, before any work: per-thread settings of the compute library.
    std::function<void()> on_start = nullptr;
    // A step that costs no more than this may run on the thread that has a WakeupBatch, see there.
    Duration max_inline_cost = Duration::zero();
  };

  explicit WorkerPool(Options options);
  ~WorkerPool() { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int workers() const { return static_cast<int>(workers_.size()); }

  // Says that `source` has at least one step to do. Wakes a worker if one sleeps, unless this thread is in a
  // WakeupBatch.
  void Ready(std::shared_ptr<WorkSource> source);

  // Runs `function` on that worker, before its next step.
  void RunOn(int worker, std::function<void()> function);

  // Lets running steps and RunOn functions end, drops what is only ready, and joins the threads. Idempotent; not from a
  // worker.
  void Stop();

  // While one lives, this thread's Ready calls wake nobody; the workers are woken together when it ends. An event loop
  // that handles a burst of calls so pays for one wake-up, and the burst becomes one batch.
  //
  // If a worker sleeps and the step in front is cheap, the end runs that one step on this thread instead: waking
  // another thread would take longer than the step. The thread must have the per-thread settings of a worker.
  class WakeupBatch {
   public:
    explicit WakeupBatch(WorkerPool& pool);
    ~WakeupBatch();
    WakeupBatch(const WakeupBatch&) = delete;
    WakeupBatch& operator=(const WakeupBatch&) = delete;

   private:
    friend class WorkerPool;
    WorkerPool& pool_;
    WakeupBatch* const outer_;
    int pending_ = 0;
  };

 private:
  struct Worker {
    CondVar wake;
    bool asleep = false;
    std::deque<std::function<void()>> pinned;
    std::thread thread;
  };

  void Loop(int index);
  // The source in front if its step may run on a thread that is no worker, taken out of the ring.
  std::shared_ptr<WorkSource> TakeInline() ABSL_LOCKS_EXCLUDED(mutex_);
  void WakeSleepers(int count) ABSL_LOCKS_EXCLUDED(mutex_);
  // The sleeper that fell asleep last (its caches are the warmest), marked as awake; null if none sleeps.
  Worker* TakeSleeper() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  std::vector<std::unique_ptr<Worker>> workers_;

  Mutex mutex_;
  std::deque<std::shared_ptr<WorkSource>> ready_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> sleepers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_WORKER_POOL_H_
