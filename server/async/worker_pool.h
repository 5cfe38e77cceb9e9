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

// Sources of work tell it when they have some.
class WorkScheduler {
 public:
  virtual ~WorkScheduler() = default;

  // Says that `source` has at least one step to do, now or at `when`.
  virtual void Ready(std::shared_ptr<WorkSource> source) = 0;
  // Until then the scheduler does not keep the source alive.
  virtual void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) = 0;

  // How many workers the source can count on while other sources want them, too; this may be a fraction.
  virtual double WorkersFor(const WorkSource& source) const = 0;
};

// The fixed set of threads on which all models compute.
//
// Workers pull their work: ready sources are in a queue, a free worker takes the source whose turn it is (see
// FairQueue), and only then the source decides what the step is. So batches form while workers are busy. Thread-safe.
class WorkerPool final : public WorkScheduler {
 public:
  struct Options {
    int workers = 1;
    // Runs on each worker before any work, for the per-thread settings of the compute library.
    std::function<void()> on_start = nullptr;
    // How long a thread that has a WakeupBatch may run steps itself, see there.
    Duration max_inline_cost = Duration::zero();
    // Called, on the same thread, when a step or a RunOn function has ended with an exception. That is not meant to
    // happen: the thread goes on, and nobody else learns of it.
    std::function<void(const char* what)> on_exception = nullptr;
  };

  // Throws std::system_error if the system does not provide so many threads.
  explicit WorkerPool(Options options);
  ~WorkerPool() override { Stop(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int workers() const { return static_cast<int>(workers_.size()); }

  // Wakes a worker if one sleeps, unless this thread has a WakeupBatch.
  void Ready(std::shared_ptr<WorkSource> source) override;
  void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) override;
  double WorkersFor(const WorkSource& source) const override;

  // Runs `function` on that worker, before the worker's next step.
  void RunOn(int worker, std::function<void()> function);

  // Lets running steps and RunOn functions end, drops work that is only ready, and joins the threads. It may be called
  // more than once, but not by a worker.
  void Stop();
  // The same, but waits until `when` at the longest. Returns false if a step still runs then; the pool has been told to
  // stop, and Stop waits for that step.
  bool StopBy(TimePoint when);

  // While one lives, this thread's Ready calls wake nobody; the workers are woken together when it ends. So an event
  // loop that handles a burst of calls pays for one wake-up, and the burst becomes one batch.
  //
  // If a worker sleeps and the next steps are cheap, its end runs them on this thread instead, for at most
  // `max_inline_cost` in all, because waking another thread would take longer. The thread must have the per-thread
  // settings of a worker.
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
  // Runs the step on this thread and tells the queue how long it took, which it returns.
  Duration Run(const FairQueue::Turn& turn) ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls a function whose exceptions must not end the thread.
  template <class Function>
  void Guard(const Function& function) noexcept;
  // Takes the next step if it may run on a thread that is no worker and costs no more than `budget`.
  FairQueue::Turn TakeInline(Duration budget) ABSL_LOCKS_EXCLUDED(mutex_);
  void WakeSleepers(int count) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until there may be something to do.
  void Sleep(Worker& self) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the sources that are due now from `later_` to `ready_`.
  void MoveDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns the worker that fell asleep last (its caches are the warmest), marked as awake; null if none sleeps.
  Worker* TakeSleeper() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  std::vector<std::unique_ptr<Worker>> workers_;

  mutable Mutex mutex_;
  FairQueue ready_ ABSL_GUARDED_BY(mutex_);
  // What nobody else holds any more is not kept alive for a step in minutes.
  std::multimap<TimePoint, std::weak_ptr<WorkSource>> later_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> sleepers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // The number of threads that have not come to their end.
  int live_ ABSL_GUARDED_BY(mutex_) = 0;
  CondVar ended_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_WORKER_POOL_H_
