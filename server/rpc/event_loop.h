#ifndef PREDICTD_SERVER_RPC_EVENT_LOOP_H_
#define PREDICTD_SERVER_RPC_EVENT_LOOP_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "server/async/clock.h"
#include "server/async/timer_heap.h"
#include "server/async/worker_pool.h"

namespace predictd {

// Links a call into the ring of the calls that live on its loop. Linking takes no memory, so it cannot fail. Used on
// the loop's thread.
class CallLink {
 public:
  CallLink() = default;
  ~CallLink() { Unlink(); }
  CallLink(const CallLink&) = delete;
  CallLink& operator=(const CallLink&) = delete;

  CallLink* next() const { return next_; }
  void LinkBehind(CallLink& other) {
    previous_ = &other;
    next_ = std::exchange(other.next_, this);
    next_->previous_ = this;
  }
  void Unlink() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

 private:
  CallLink* previous_ = this;
  CallLink* next_ = this;
};

// The base of all tags that a completion queue delivers.
class CompletionTag {
 public:
  virtual ~CompletionTag() = default;
  virtual void Complete(bool ok) = 0;
};

// Is told, on the loop's thread, how the loop keeps up.
class LoopObserver {
 public:
  virtual ~LoopObserver() = default;
  // `lag` is how late a periodic timer fired: anything that became ready meanwhile had to wait as long.
  virtual void OnLag(Duration lag) = 0;
  // `busy` is how long the loop handled the events that it found ready before it looked for more.
  virtual void OnBurst(Duration busy, int events) = 0;
};

// One completion queue and the thread that polls it, which starts coroutines, resumes them, and fires their timers.
// Nothing that runs here may block. A call lives and ends on the loop that accepted it, so its timers need no lock.
class EventLoop {
 public:
  // `pool` and `observer` outlive the loop.
  EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, WorkerPool& pool, LoopObserver& observer);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // Starts the thread, which runs `first` and then the loop. The loop calls `on_beat` every 100 ms.
  void Start(std::function<void()> first, std::function<void()> on_beat);

  // Runs `function` on the loop's thread. Any thread may call it, but not after Shutdown.
  void Post(std::function<void()> function);

  // Whether this is the loop's thread.
  bool OnThread() const;

  // A clock that stands still while the loop does not run, because the process was paused or something held the thread:
  // the peers of the loop's calls are not to blame for that time. Any thread may call it.
  TimePoint OwnTime() const { return std::chrono::steady_clock::now() - lost_.load(std::memory_order_relaxed); }

  // The processor time that the loop's thread has used. Any thread may call it, between Start and Shutdown.
  Duration CpuTime();
  // The same, plus the time in which the thread waited for a processor where the kernel reports it.
  Duration RunnableTime();

  // Delivers the events that are left and joins the thread. No operation may be started on the queue any more.
  void Shutdown();

  // The timers, and the ring of the calls that have been accepted and have not ended. Only for the loop's thread.
  TimerHeap& timers() { return timers_; }
  CallLink& live_calls() { return live_calls_; }

 private:
  void Run();
  void Beat();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  WorkerPool& pool_;
  LoopObserver& observer_;
  TimerHeap timers_;
  // The head of the ring of calls.
  CallLink live_calls_;
  Timer heartbeat_;
  TimePoint next_beat_;
  std::function<void()> on_beat_;
  // How late all heartbeats together came.
  std::atomic<Duration> lost_{Duration::zero()};
  std::atomic<int> thread_id_{0};
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_EVENT_LOOP_H_
