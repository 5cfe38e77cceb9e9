#ifndef PREDICTD_SERVER_ASYNC_WORKER_POOL_H_
#define PREDICTD_SERVER_ASYNC_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "server/async/clock.h"
#include "server/async/fair_queue.h"
#include "server/async/mutex.h"

namespace predictd {

// Where sources of work say that they have some.
class WorkScheduler {
 public:
  virtual ~WorkScheduler() = default;

  // Says that `source` has at least one step to do, now or at that time.
  virtual void Ready(std::shared_ptr<WorkSource> source) = 0;
  virtual void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) = 0;

  // How many workers the source can count on while others want them too; may be a fraction.
  virtual double WorkersFor(const WorkSource& source) const = 0;
};

// The fixed set of threads on which all models compute.
//
// Pull-based: what is ready stands in a queue, a free worker takes the source whose turn it is (see FairQueue), and the
// source decides only then what the step is. So batches form while workers are busy. Thread-safe.
class WorkerPool final : public WorkScheduler {
 public:
  struct Options {
    int workers = 1;
    // Runs first on each worker, before any work: per-thread settings of the compute library.
    std::function<void()> on_start = nullptr;
    // What the thread that has a WakeupBatch may spend on steps, see there.
    Duration max_inline_cost = Duration::zero();
    // Told, on its thread, when a step or a RunOn function has ended with an exception, which is not meant to happen:
    // the thread goes on, but nobody else knows.
    std::function<void(const char* what)> on_exception = nullptr;
  };

  // std::system_error if the system does not give so many threads.
  explicit WorkerPool(Options options);
  ~WorkerPool() override { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int workers() const { return static_cast<int>(workers_.size()); }

  // Wakes a worker if one sleeps, unless this thread is in a WakeupBatch.
  void Ready(std::shared_ptr<WorkSource> source) override;
  void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) override;
  double WorkersFor(const WorkSource& source) const override;

  // Runs `function` on that worker, before its next step.
  void RunOn(int worker, std::function<void()> function);

  // Lets running steps and RunOn functions end, drops what is only ready, and joins the threads. Idempotent; not from a
  // worker.
  void Stop();
  // The same, but waits no longer than that: false if a step still runs. Then it is told to stop, and Stop waits for
  // it.
  bool StopBy(TimePoint when);

  // While one lives, this thread's Ready calls wake nobody; the workers are woken together when it ends. An event loop
  // that handles a burst of calls so pays for one wake-up, and the burst becomes one batch.
  //
  // If a worker sleeps and the next steps are cheap, the end runs them on this thread instead, for at most
  // `max_inline_cost` in all: waking another thread would take longer. The thread must have the per-thread settings of
  // a worker.
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
  void RequestStop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Runs the step on this thread and tells the queue how long it took. Returns that.
  Duration Run(const FairQueue::Turn& turn) ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls what must not end the thread.
  template <class Function>
  void Guard(const Function& function) noexcept;
  // The next step if it may run on a thread that is no worker and costs no more than that.
  FairQueue::Turn TakeInline(Duration budget) ABSL_LOCKS_EXCLUDED(mutex_);
  void WakeSleepers(int count) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until there may be something to do.
  void Sleep(Worker& self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves what is due now from `later_` to `ready_`.
  void MoveDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The sleeper that fell asleep last (its caches are the warmest), marked as awake; null if none sleeps.
  Worker* TakeSleeper() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  std::vector<std::unique_ptr<Worker>> workers_;

  mutable Mutex mutex_;
  FairQueue ready_ ABSL_GUARDED_BY(mutex_);
  std::multimap<TimePoint, std::shared_ptr<WorkSource>> later_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> sleepers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Threads that have not come to their end.
  int live_ ABSL_GUARDED_BY(mutex_) = 0;
  CondVar ended_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_WORKER_POOL_H_
