#include <gtest/gtest.h>

#include <coroutine>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "server/async/async_event.h"
#include "server/async/mutex.h"
#include "server/async/send_queue.h"
#include "server/async/task_group.h"

namespace predictd {
namespace {

constexpr int kWriters = 4;

// A channel whose operations end on a thread of its own.
class SlowChannel {
 public:
  class Taking {
   public:
    explicit Taking(SlowChannel& channel) : channel_(channel) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      MutexLock lock(channel_.mutex_);
      channel_.waiter_ = waiter;
      channel_.changed_.NotifyAll();
    }
    void await_resume() const noexcept {}

   private:
    SlowChannel& channel_;
  };

  SlowChannel() : thread_([this] { Run(); }) {}
  ~SlowChannel() {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }

  Task<bool> Send(int message) {
    Taking taking(*this);
    co_await taking;
    sent_.push_back(message);
    co_return true;
  }
  const std::vector<int>& sent() const { return sent_; }

 private:
  void Run() {
    while (true) {
      std::coroutine_handle<> waiter;
      {
        MutexLock lock(mutex_);
        while (!waiter_ && !stop_) changed_.Wait(mutex_);
        if (!waiter_) return;
        waiter = std::exchange(waiter_, nullptr);
      }
      waiter.resume();
    }
  }

  // Plain memory: at most one message is with the channel.
  std::vector<int> sent_;
  Mutex mutex_;
  CondVar changed_;
  std::coroutine_handle<> waiter_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

using IntQueue = SendQueue<int>;

Task<> WriteSome(AsyncEvent& begin, IntQueue& queue, int first, int count, int& refused) {
  co_await begin.Wait();
  for (int i = 0; i < count; ++i) {
    IntQueue::Writing writing = queue.Write(first + i, 1);
    if (!co_await writing) ++refused;
  }
}

Task<> JoinAndClose(TaskGroup& group, IntQueue& queue, std::latch& closed) {
  TaskGroup::Joining joining = group.Join();
  co_await joining;
  TaskGroup::Joining closing = queue.Close();
  co_await closing;
  closed.count_down();
}

TEST(SendQueueThreadsTest, WritersOnManyThreadsKeepTheirOrder) {
  constexpr int kMessages = 300;
  SlowChannel channel;
  IntQueue queue({.bytes = 3, .messages = 100}, [&](int message, bool /*more*/) { return channel.Send(message); });
  TaskGroup group;
  std::vector<AsyncEvent> begin(kWriters);
  std::vector<int> refused(kWriters);
  std::latch closed(1);
  for (int i = 0; i < kWriters; ++i) group.Start(WriteSome(begin[i], queue, i * kMessages, kMessages, refused[i]));
  std::vector<std::jthread> threads;
  threads.reserve(kWriters);
  for (int i = 0; i < kWriters; ++i) threads.emplace_back([&begin, i] { begin[i].Set(); });
  Detach(JoinAndClose(group, queue, closed));
  closed.wait();
  threads.clear();
  ASSERT_EQ(channel.sent().size(), size_t{kWriters} * kMessages);
  std::vector<int> next(kWriters);
  for (const int message : channel.sent()) {
    const int writer = message / kMessages;
    ASSERT_EQ(message % kMessages, next[writer]++);
  }
  EXPECT_EQ(refused, std::vector<int>(kWriters, 0));
}

TEST(SendQueueThreadsTest, AbortLetsAllWritersGoOn) {
  constexpr int kRounds = 50;
  constexpr int kMessages = 50;
  for (int round = 0; round < kRounds; ++round) {
    SlowChannel channel;
    IntQueue queue({.bytes = 3, .messages = 100}, [&](int message, bool /*more*/) { return channel.Send(message); });
    TaskGroup group;
    std::vector<AsyncEvent> begin(kWriters);
    std::vector<int> refused(kWriters);
    std::latch closed(1);
    for (int i = 0; i < kWriters; ++i) group.Start(WriteSome(begin[i], queue, i * kMessages, kMessages, refused[i]));
    std::vector<std::jthread> threads;
    threads.reserve(kWriters + 1);
    for (int i = 0; i < kWriters; ++i) threads.emplace_back([&begin, i] { begin[i].Set(); });
    threads.emplace_back([&queue] { queue.Abort(); });
    Detach(JoinAndClose(group, queue, closed));
    closed.wait();
    threads.clear();
    int sum = static_cast<int>(channel.sent().size());
    for (const int one : refused) sum += one;
    // What was in the window when the queue was aborted counts as neither.
    ASSERT_LE(sum, kWriters * kMessages) << "round " << round;
    ASSERT_GE(sum, kWriters * kMessages - 3) << "round " << round;
  }
}

}  // namespace
}  // namespace predictd
