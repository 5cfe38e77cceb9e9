#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "server/async/worker_pool.h"
#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

constexpr Duration kCheap = std::chrono::microseconds(1);

class WakeupBatchTest : public testing::Test {
 protected:
  // A source that records the thread which runs it.
  std::shared_ptr<FunctionSource> NotingSource(Duration cost, int slot) {
    return std::make_shared<FunctionSource>(
        [this, slot] {
          threads_[slot] = std::this_thread::get_id();
          ran_[slot].count_down();
        },
        cost);
  }

  const std::thread::id here_ = std::this_thread::get_id();
  std::thread::id threads_[3];
  std::latch ran_[3] = {std::latch(1), std::latch(1), std::latch(1)};
  WorkerPool pool_{{.workers = 1, .max_inline_cost = kCheap}};
};

TEST_F(WakeupBatchTest, SleepingWorkerIsWokenOnlyWhenTheBatchEnds) {
  AwaitSleepingWorker(pool_);
  std::atomic<bool> batch_open{true};
  std::atomic<bool> seen_open{false};
  std::latch ran(3);
  std::vector<std::shared_ptr<FunctionSource>> sources;
  for (int i = 0; i < 3; ++i) {
    sources.push_back(std::make_shared<FunctionSource>([&] {
      if (batch_open) seen_open = true;
      ran.count_down();
    }));
  }
  {
    const WorkerPool::WakeupBatch batch(pool_);
    for (const auto& source : sources) pool_.Ready(source);
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    batch_open = false;
  }
  ran.wait();
  EXPECT_FALSE(seen_open);
}

TEST_F(WakeupBatchTest, BatchOfOneThreadDoesNotHoldUpAnother) {
  AwaitSleepingWorker(pool_);
  const WorkerPool::WakeupBatch batch(pool_);
  std::jthread other([this] { pool_.Ready(NotingSource(Duration::max(), 0)); });
  ran_[0].wait();
  EXPECT_NE(threads_[0], here_);
}

TEST_F(WakeupBatchTest, BatchOfOnePoolDoesNotHoldUpAnotherPool) {
  WorkerPool other_pool({.workers = 1, .max_inline_cost = kCheap});
  AwaitSleepingWorker(other_pool);
  const WorkerPool::WakeupBatch batch(pool_);
  other_pool.Ready(NotingSource(Duration::max(), 0));
  ran_[0].wait();
  EXPECT_NE(threads_[0], here_);
}

TEST_F(WakeupBatchTest, InnerBatchWakesWhenItEnds) {
  AwaitSleepingWorker(pool_);
  const WorkerPool::WakeupBatch outer(pool_);
  {
    const WorkerPool::WakeupBatch inner(pool_);
    pool_.Ready(NotingSource(Duration::max(), 0));
  }
  ran_[0].wait();
  EXPECT_NE(threads_[0], here_);
}

TEST_F(WakeupBatchTest, CheapStepRunsOnTheThreadOfTheBatchWhileAWorkerSleeps) {
  AwaitSleepingWorker(pool_);
  {
    const WorkerPool::WakeupBatch batch(pool_);
    pool_.Ready(NotingSource(kCheap, 0));
    EXPECT_EQ(threads_[0], std::thread::id()) << "ran before the batch ended";
  }
  EXPECT_EQ(threads_[0], here_);
}

TEST_F(WakeupBatchTest, SourceThatDoesNotSayThatItMayRunsOnTheWorkerHoweverCheap) {
  class CheapSource final : public WorkSource {
   public:
    explicit CheapSource(std::function<void()> step) : step_(std::move(step)) {}
    void RunStep() override { step_(); }
    Duration StepCost() const override { return Duration(1); }

   private:
    const std::function<void()> step_;
  };
  AwaitSleepingWorker(pool_);
  {
    const WorkerPool::WakeupBatch batch(pool_);
    pool_.Ready(std::make_shared<CheapSource>([this] {
      threads_[0] = std::this_thread::get_id();
      ran_[0].count_down();
    }));
  }
  ran_[0].wait();
  EXPECT_NE(threads_[0], here_);
}

TEST_F(WakeupBatchTest, StepThatCostsMoreThanTheLimitRunsOnTheWorker) {
  AwaitSleepingWorker(pool_);
  {
    const WorkerPool::WakeupBatch batch(pool_);
    pool_.Ready(NotingSource(kCheap + Duration(1), 0));
  }
  ran_[0].wait();
  EXPECT_NE(threads_[0], here_);
}

TEST_F(WakeupBatchTest, OnlyTheFirstOfSeveralCheapStepsRunsOnTheThreadOfTheBatch) {
  AwaitSleepingWorker(pool_);
  {
    const WorkerPool::WakeupBatch batch(pool_);
    for (int i = 0; i < 3; ++i) pool_.Ready(NotingSource(kCheap, i));
  }
  for (std::latch& ran : ran_) ran.wait();
  EXPECT_EQ(threads_[0], here_);
  EXPECT_NE(threads_[1], here_);
  EXPECT_NE(threads_[2], here_);
}

TEST_F(WakeupBatchTest, NothingRunsOnTheThreadOfTheBatchWhileAllWorkersAreBusy) {
  std::latch busy(1);
  std::latch release(1);
  pool_.RunOn(0, [&] {
    busy.count_down();
    release.wait();
  });
  busy.wait();
  {
    const WorkerPool::WakeupBatch batch(pool_);
    pool_.Ready(NotingSource(kCheap, 0));
  }
  EXPECT_EQ(threads_[0], std::thread::id());
  release.count_down();
  ran_[0].wait();
  EXPECT_NE(threads_[0], here_);
}

TEST_F(WakeupBatchTest, WithoutALimitNothingRunsOnTheThreadOfTheBatch) {
  WorkerPool pool({.workers = 1});
  for (int i = 0; i < 100; ++i) {
    std::latch ran(1);
    std::thread::id thread;
    {
      const WorkerPool::WakeupBatch batch(pool);
      pool.Ready(std::make_shared<FunctionSource>(
          [&] {
            thread = std::this_thread::get_id();
            ran.count_down();
          },
          kCheap));
    }
    ran.wait();
    ASSERT_NE(thread, here_);
  }
}

}  // namespace
}  // namespace predictd
