#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "server/async/worker_pool.h"
#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

// Work that any thread may add to and that steps take all at once, as a queue of requests is taken in batches.
class Backlog {
 public:
  explicit Backlog(std::latch& left)
      : source_(std::make_shared<FunctionSource>([this, &left] { left.count_down(pending_.exchange(0)); })) {}

  void Add(WorkerPool& pool) {
    ++pending_;
    pool.Ready(source_);
  }

 private:
  std::atomic<int> pending_{0};
  const std::shared_ptr<FunctionSource> source_;
};

// If a wake-up got lost, work would be left behind while all workers sleep, and the test would hang.
class WorkerPoolStorm : public testing::TestWithParam<int> {};

TEST_P(WorkerPoolStorm, NoWorkIsLeftWhenManyThreadsCallReady) {
  constexpr int kThreads = 4;
  constexpr int kItems = 4000;
  constexpr int kSources = 8;
  std::latch left(std::ptrdiff_t{kThreads} * kItems);
  WorkerPool pool({.workers = GetParam(), .max_inline_cost = std::chrono::microseconds(1)});
  std::vector<std::unique_ptr<Backlog>> backlogs;
  for (int i = 0; i < kSources; ++i) backlogs.push_back(std::make_unique<Backlog>(left));
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int i = 0; i < kItems;) {
        if (random() % 4 == 0) {
          const WorkerPool::WakeupBatch batch(pool);
          for (uint32_t burst = random() % 8; burst > 0 && i < kItems; --burst, ++i) {
            backlogs[random() % kSources]->Add(pool);
          }
        } else {
          backlogs[random() % kSources]->Add(pool);
          ++i;
        }
      }
    });
  }
  threads.clear();
  left.wait();
  pool.Stop();
}

INSTANTIATE_TEST_SUITE_P(Workers, WorkerPoolStorm, testing::Values(1, 2, 4));

// A worker that was woken for a step may find a pinned function to run first. Then another sleeper must take the step.
TEST(WorkerPoolThreadsTest, LongPinnedFunctionDoesNotHoldUpAStepWhileAnotherWorkerSleeps) {
  for (int round = 0; round < 200; ++round) {
    WorkerPool pool({.workers = 2, .max_inline_cost = std::chrono::microseconds(1)});
    AwaitSleepingWorker(pool);
    std::latch stepped(1);
    std::latch pinned_ended(1);
    pool.Ready(std::make_shared<FunctionSource>([&stepped] { stepped.count_down(); }));
    pool.RunOn(round % 2, [&] {
      stepped.wait();
      pinned_ended.count_down();
    });
    pinned_ended.wait();
  }
}

TEST(WorkerPoolThreadsTest, StopRacesWithReadyAndLeavesNoSourceBehind) {
  for (int round = 0; round < 100; ++round) {
    std::vector<std::shared_ptr<FunctionSource>> sources;
    for (int i = 0; i < 20; ++i) sources.push_back(std::make_shared<FunctionSource>([] {}));
    {
      WorkerPool pool({.workers = 2});
      std::jthread caller([&] {
        for (const auto& source : sources) pool.Ready(source);
      });
      if (round % 2 == 0) std::this_thread::yield();
      pool.Stop();
      caller.join();
    }
    for (const auto& source : sources) ASSERT_EQ(source.use_count(), 1) << "round " << round;
  }
}

}  // namespace
}  // namespace predictd
