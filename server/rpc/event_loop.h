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

// What a call is linked with into those that live on its loop: that costs no memory, and so cannot fail. Used on the
// loop's thread.
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

// What a completion queue delivers: every tag is one of these.
class CompletionTag {
 public:
  virtual ~CompletionTag() = default;
  virtual void Complete(bool ok) = 0;
};

// Told how the loop keeps up, on its thread.
class LoopObserver {
 public:
  virtual ~LoopObserver() = default;
  // How late a periodic timer fired: what anything that became ready meanwhile had to wait.
  virtual void OnLag(Duration lag) = 0;
  // How long the loop was busy with what it found ready, before it looked again.
  virtual void OnBurst(Duration busy, int events) = 0;
};

// One completion queue and the thread that polls it: starts coroutines, resumes them, fires their timers. Nothing that
// runs here may block. Calls live and end on the loop that accepted them, so their timers need no lock.
class EventLoop {
 public:
  // `pool` and `observer` outlive the loop.
  EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, WorkerPool& pool, LoopObserver& observer);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // Runs `first` on the new thread, then the loop, and `on_beat` on it every 100 ms.
  void Start(std::function<void()> first, std::function<void()> on_beat);

  // Runs `function` on the loop's thread. From any thread; not after Shutdown.
  void Post(std::function<void()> function);

  // A clock that stands still while the loop does not run, because the process was paused or something held the thread:
  // the peers of its calls are not to blame for that time. Any thread.
  TimePoint OwnTime() const { return std::chrono::steady_clock::now() - lost_.load(std::memory_order_relaxed); }

  // The processor time that the loop's thread has used. Between Start and Shutdown, from any thread.
  Duration CpuTime();
  // The same and the time in which it waited for a processor, where the kernel tells.
  Duration RunnableTime();

  // No operation may be started on the queue any more. Delivers what is left and joins the thread.
  void Shutdown();

  // Only on the loop's thread: the timers, and the calls that have been accepted and have not ended.
  TimerHeap& timers() { return timers_; }
  CallLink& live_calls() { return live_calls_; }

 private:
  void Run();
  void Beat();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  WorkerPool& pool_;
  LoopObserver& observer_;
  TimerHeap timers_;
  // The calls stand behind it, in a ring.
  CallLink live_calls_;
  Timer heartbeat_;
  TimePoint next_beat_;
  std::function<void()> on_beat_;
  // How late the heartbeats came, in all.
  std::atomic<Duration> lost_{Duration::zero()};
  std::atomic<int> thread_id_{0};
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_EVENT_LOOP_H_
