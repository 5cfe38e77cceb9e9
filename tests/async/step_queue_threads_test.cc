#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "server/async/step_queue.h"
#include "server/async/task.h"

namespace predictd {
namespace {

using Outcome = StepQueue::Outcome;

// How the coroutines of a test have ended. `turns` is plain memory, which is right because steps run one at a time.
struct Ends {
  explicit Ends(int coroutines) : ended(coroutines) {}

  std::latch ended;
  std::atomic<int> full{0};
  std::atomic<int> stopped{0};
  std::atomic<int> running{0};
  std::atomic<int> together{0};
  std::atomic<int> elsewhere{0};
  int turns = 0;
};

Task<> Take(std::shared_ptr<StepQueue> queue, TimePoint place, StopSource& stop, Ends& ends) {
  const std::thread::id caller = std::this_thread::get_id();
  const Outcome outcome = co_await queue->Enter(place, stop);
  if (outcome == Outcome::kTurn) {
    if (ends.running++ > 0) ++ends.together;
    if (std::this_thread::get_id() == caller) ++ends.elsewhere;
    ++ends.turns;
    --ends.running;
  } else {
    ++(outcome == Outcome::kFull ? ends.full : ends.stopped);
  }
  ends.ended.count_down();
}

// Coroutines enter on some threads, are stopped on others, and have their turn on workers. Each ends exactly once, and
// no turn runs on the thread that entered.
TEST(StepQueueThreadsTest, EveryCoroutineEndsOnceWhateverHappensAtTheSameTime) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  WorkerPool pool({.workers = 2});
  const auto queue =
      std::make_shared<StepQueue>(StepQueue::Options{.share = {.max_concurrency = 1}, .capacity = 50}, pool);
  Ends ends(size_t{kThreads} * kEach);
  std::vector<StopSource> stops(size_t{kThreads} * kEach);
  std::vector<std::atomic<bool>> entered(size_t{kThreads} * kEach);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::minstd_rand random(static_cast<unsigned>(t) + 1);
        for (int i = t; i < kThreads * kEach; i += kThreads) {
          entered[static_cast<size_t>(i)] = true;
          Detach(Take(queue, TimePoint(Duration(random() % 100)), stops[static_cast<size_t>(i)], ends));
        }
      });
    }
    threads.emplace_back([&] {
      for (int i = 0; i < kThreads * kEach; i += 3) {
        while (!entered[static_cast<size_t>(i)]) std::this_thread::yield();
        stops[static_cast<size_t>(i)].RequestStop(StopReason::kCancelled);
      }
    });
  }
  ends.ended.wait();
  pool.Stop();
  EXPECT_EQ(ends.turns + ends.full + ends.stopped, kThreads * kEach);
  EXPECT_GT(ends.turns, 0);
  EXPECT_EQ(ends.together, 0);
  EXPECT_EQ(ends.elsewhere, 0);
  EXPECT_EQ(queue->waiting(), 0);
}

}  // namespace
}  // namespace predictd
