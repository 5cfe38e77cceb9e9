#ifndef PREDICTD_SERVER_ASYNC_STEP_QUEUE_H_
#define PREDICTD_SERVER_ASYNC_STEP_QUEUE_H_

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "server/async/clock.h"
#include "server/async/indexed_heap.h"
#include "server/async/mutex.h"
#include "server/async/stop.h"
#include "server/async/worker_pool.h"

namespace predictd {

// One source of work for everything that calls have to do and that would hold up an event loop. Coroutines wait here,
// and each step resumes the first of them on a worker. However many wait, together they get the share of the workers'
// time of one source among the models; one that is stopped leaves at once. Thread-safe.
class StepQueue final : public WorkSource, public std::enable_shared_from_this<StepQueue> {
 public:
  struct Options {
    Share share = {};
    // How many coroutines may wait.
    size_t capacity = 1024;
  };

  enum class Outcome {
    // It is the coroutine's turn: until it suspends or ends, it runs as a step of a worker.
    kTurn,
    // As many coroutines as may wait do so already. The coroutine goes on at once, on the same thread.
    kFull,
    // The coroutine was stopped before its turn. It goes on on the thread that stopped it.
    kStopped,
  };
  class Entry;

  // `scheduler` outlives the queue.
  StepQueue(Options options, WorkScheduler& scheduler);

  // `co_await queue.Enter(place, stop)` returns an Outcome. Coroutines with an earlier place go first. `stop` outlives
  // the await, and the awaiting coroutine keeps the queue alive until the await ends. It throws nothing but
  // std::bad_alloc, and then nobody waits.
  Entry Enter(TimePoint place, StopSource& stop);

  size_t waiting() const;

  void RunStep() override;
  // The time that the last step took.
  Duration StepCost() const override;

 private:
  static constexpr int64_t kNotEntered = -1;
  struct ByPlace {
    static bool Less(const Entry& a, const Entry& b);
    static size_t& Index(Entry& entry);
  };

  // Returns whether the entry waits now. If it does not, its outcome says why.
  bool Push(Entry& entry);
  void OnStop(Entry& entry);

  const Options options_;
  WorkScheduler& scheduler_;
  std::atomic<Duration::rep> step_cost_{0};

  mutable Mutex mutex_;
  IndexedHeap<Entry*, ByPlace> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t entered_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The awaitable of StepQueue::Enter. It lives in the frame of the coroutine that awaits it.
class StepQueue::Entry {
 public:
  Entry(StepQueue& queue, TimePoint place, StopSource& stop) : queue_(queue), place_(place), stop_(stop) {}
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter);
  Outcome await_resume();

 private:
  friend class StepQueue;

  StepQueue& queue_;
  const TimePoint place_;
  StopSource& stop_;
  std::optional<StopCallback> on_stop_;

  // Guarded by the queue's mutex until the coroutine goes on.
  int64_t number_ = kNotEntered;
  size_t index_ = kNotInHeap;
  std::coroutine_handle<> waiter_;
  Outcome outcome_ = Outcome::kTurn;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_STEP_QUEUE_H_
