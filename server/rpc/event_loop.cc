#include "server/rpc/event_loop.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

constexpr Duration kHeartbeat = std::chrono::milliseconds(100);
// After so many events the timers get their turn.
constexpr int kMaxBurst = 256;

// The loop that this thread runs, if there is one.
thread_local const EventLoop* current_loop = nullptr;

// gRPC's monotonic clock is the one that steady_clock reads.
gpr_timespec ToTimespec(TimePoint time) {
  if (time == kNever) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const auto nanos = std::chrono::nanoseconds(time.time_since_epoch()).count();
  return gpr_timespec{nanos / 1'000'000'000, static_cast<int32_t>(nanos % 1'000'000'000), GPR_CLOCK_MONOTONIC};
}

class PostedFunction final : public CompletionTag {
 public:
  PostedFunction(grpc::CompletionQueue* queue, std::function<void()> function) : function_(std::move(function)) {
    alarm_.Set(queue, gpr_now(GPR_CLOCK_MONOTONIC), static_cast<CompletionTag*>(this));
  }
  void Complete(bool /*ok*/) override {
    function_();
    delete this;
  }

 private:
  const std::function<void()> function_;
  grpc::Alarm alarm_;
};

}  // namespace

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, WorkerPool& pool, LoopObserver& observer)
    : queue_(std::move(queue)), pool_(pool), observer_(observer), heartbeat_(timers_, [this] { Beat(); }) {}

EventLoop::~EventLoop() {
  Shutdown();
}

void EventLoop::Start(std::function<void()> first, std::function<void()> on_beat) {
  on_beat_ = std::move(on_beat);
  thread_ = std::thread([this, first = std::move(first)] {
    thread_id_ = static_cast<int>(gettid());
    current_loop = this;
    first();
    next_beat_ = steady_clock::now() + kHeartbeat;
    heartbeat_.Arm(next_beat_);
    Run();
  });
}

void EventLoop::Post(std::function<void()> function) {
  // The object deletes itself when it is delivered.
  new PostedFunction(queue_.get(), std::move(function));
}

bool EventLoop::OnThread() const {
  return current_loop == this;
}

Duration EventLoop::CpuTime() {
  clockid_t clock{};
  timespec time{};
  if (pthread_getcpuclockid(thread_.native_handle(), &clock) != 0 || clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Duration EventLoop::RunnableTime() {
  std::ifstream stream(absl::StrCat("/proc/self/task/", thread_id_.load(), "/schedstat"));
  int64_t running = 0;
  int64_t waiting = 0;
  if (!(stream >> running >> waiting)) return CpuTime();
  return std::chrono::nanoseconds(running + waiting);
}

void EventLoop::Shutdown() {
  if (!thread_.joinable()) return;
  queue_->Shutdown();
  thread_.join();
}

void EventLoop::Beat() {
  const TimePoint now = steady_clock::now();
  const Duration late = now - next_beat_;
  observer_.OnLag(late);
  lost_.store(lost_.load(std::memory_order_relaxed) + late, std::memory_order_relaxed);
  on_beat_();
  next_beat_ = now + kHeartbeat;
  heartbeat_.Arm(next_beat_);
}

void EventLoop::Run() {
  void* tag = nullptr;
  bool ok = false;
  const gpr_timespec at_once = gpr_time_0(GPR_CLOCK_MONOTONIC);
  while (true) {
    auto next = queue_->AsyncNext(&tag, &ok, ToTimespec(timers_.next()));
    if (next == grpc::CompletionQueue::SHUTDOWN) return;
    const TimePoint started = steady_clock::now();
    // The beat comes before the events, so that the time which the loop has lost is known before anybody's time is
    // counted.
    if (started >= next_beat_) Beat();
    int events = 0;
    {
      // Everything that is ready now is handled before a worker is woken: a burst becomes one batch.
      WorkerPool::WakeupBatch wakeups(pool_);
      while (next == grpc::CompletionQueue::GOT_EVENT) {
        static_cast<CompletionTag*>(tag)->Complete(ok);
        if (++events == kMaxBurst) break;
        next = queue_->AsyncNext(&tag, &ok, at_once);
      }
      timers_.FireDue(steady_clock::now());
    }
    if (events > 0) observer_.OnBurst(steady_clock::now() - started, events);
    if (next == grpc::CompletionQueue::SHUTDOWN) return;
  }
}

}  // namespace predictd
