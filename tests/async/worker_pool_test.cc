#include "server/async/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

// Keeps a worker busy from its construction until Release.
class Blocker {
 public:
  Blocker(WorkerPool& pool, int worker) {
    pool.RunOn(worker, [state = state_] {
      state->running.count_down();
      state->release.wait();
    });
    state_->running.wait();
  }
  ~Blocker() { Release(); }

  void Release() {
    if (!std::exchange(released_, true)) state_->release.count_down();
  }

 private:
  // The worker may still look at this after the release.
  struct State {
    std::latch running{1};
    std::latch release{1};
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  bool released_ = false;
};

// Waits until everything that is ready now has run. Ready lists a source once, so a step of a new source runs after all
// of that.
void AwaitStepsThatAreReady(WorkerPool& pool) {
  std::latch reached(1);
  pool.Ready(std::make_shared<FunctionSource>([&reached] { reached.count_down(); }));
  reached.wait();
}

TEST(WorkerPoolTest, ReadySourceRunsOneStepOnAWorker) {
  WorkerPool pool({.workers = 2});
  std::promise<std::thread::id> ran;
  const auto source = std::make_shared<FunctionSource>([&ran] { ran.set_value(std::this_thread::get_id()); });
  pool.Ready(source);
  EXPECT_NE(ran.get_future().get(), std::this_thread::get_id());
}

TEST(WorkerPoolTest, HasAtLeastOneWorker) {
  const WorkerPool pool({.workers = 0});
  EXPECT_EQ(pool.workers(), 1);
}

// There are two workers, and steps of one or both, which check how many run beside them.
TEST(WorkerPoolTest, StepOfBothWorkersRunsAloneAndNobodyIsForgotten) {
  WorkerPool pool({.workers = 2});
  std::atomic<int> running{0};
  std::atomic<int> together{0};
  constexpr ptrdiff_t kSteps = 500;
  std::latch done(4 * kSteps);
  const auto step = [&](int workers) {
    const int now = running += workers;
    if (now > 2) ++together;
    std::this_thread::yield();
    running -= workers;
    done.count_down();
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, workers = 1 + i % 2] {
      for (ptrdiff_t s = 0; s < kSteps; ++s) {
        const WorkSource::Share share = {.workers_per_step = workers};
        const auto source =
            std::make_shared<FunctionSource>([&, workers] { step(workers); }, std::chrono::milliseconds(1), share);
        pool.Ready(source);
      }
    });
  }
  done.wait();
  EXPECT_EQ(together, 0);
}

TEST(WorkerPoolTest, SourceThatIsReadyThreeTimesRunsOnce) {
  WorkerPool pool({.workers = 1});
  std::atomic<int> steps{0};
  const auto source = std::make_shared<FunctionSource>([&steps] { ++steps; });
  {
    const Blocker blocker(pool, 0);
    for (int i = 0; i < 3; ++i) pool.Ready(source);
  }
  AwaitStepsThatAreReady(pool);
  EXPECT_EQ(steps, 1);
}

TEST(WorkerPoolTest, SourceMayBecomeReadyAgainWhileItsStepRuns) {
  WorkerPool pool({.workers = 2});
  std::latch both_inside(2);
  std::latch both_done(2);
  std::atomic<int> steps{0};
  std::shared_ptr<FunctionSource> source;
  source = std::make_shared<FunctionSource>([&] {
    if (++steps == 1) pool.Ready(source);
    // This returns only if a second worker joins in.
    both_inside.arrive_and_wait();
    both_done.count_down();
  });
  pool.Ready(source);
  both_done.wait();
  EXPECT_EQ(steps, 2);
}

TEST(WorkerPoolTest, SourceThatTookLittleTimeGoesFirst) {
  WorkerPool pool({.workers = 1});
  std::string order;
  std::latch done(2);
  std::vector<std::shared_ptr<FunctionSource>> sources(2);
  std::vector<int> steps(2);
  for (int i = 0; i < 2; ++i) {
    sources[i] = std::make_shared<FunctionSource>([&, i] {
      order += static_cast<char>('A' + i);
      // Each of A's steps takes at least 20 ms, and B's take next to nothing.
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(i == 0 ? 20 : 0);
      while (std::chrono::steady_clock::now() < until) {
      }
      if (++steps[i] < 4) {
        pool.Ready(sources[i]);
      } else {
        done.count_down();
      }
    });
  }
  {
    const Blocker blocker(pool, 0);
    for (const auto& source : sources) pool.Ready(source);
  }
  done.wait();
  EXPECT_EQ(order, "ABBBBAAA");
}

TEST(WorkerPoolTest, StepForLaterRunsThen) {
  WorkerPool pool({.workers = 2});
  std::promise<TimePoint> ran;
  const TimePoint when = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  const auto later = std::make_shared<FunctionSource>([] {});
  const auto source = std::make_shared<FunctionSource>([&ran] { ran.set_value(std::chrono::steady_clock::now()); });
  pool.ReadyAt(later, when + std::chrono::hours(1));
  pool.ReadyAt(source, when);
  EXPECT_GE(ran.get_future().get(), when);
}

TEST(WorkerPoolTest, StepForLaterRunsAlsoWhenEveryWorkerWasBusyMeanwhile) {
  WorkerPool pool({.workers = 1});
  std::promise<void> ran;
  const auto source = std::make_shared<FunctionSource>([&ran] { ran.set_value(); });
  {
    const Blocker blocker(pool, 0);
    pool.ReadyAt(source, std::chrono::steady_clock::now());
  }
  ran.get_future().wait();
}

TEST(WorkerPoolTest, SourceThatNobodyHoldsIsNotKeptForALaterStep) {
  WorkerPool pool({.workers = 1});
  auto source = std::make_shared<FunctionSource>([] { ADD_FAILURE() << "its step ran"; });
  const std::weak_ptr<FunctionSource> alive = source;
  const TimePoint soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  pool.ReadyAt(std::move(source), soon);
  EXPECT_TRUE(alive.expired());
  std::promise<void> ran;
  const auto after = std::make_shared<FunctionSource>([&ran] { ran.set_value(); });
  pool.ReadyAt(after, soon + std::chrono::milliseconds(1));
  ran.get_future().wait();
}

TEST(WorkerPoolTest, RunOnRunsOnThatWorker) {
  constexpr int kWorkers = 3;
  WorkerPool pool({.workers = kWorkers});
  std::set<std::thread::id> threads;
  for (int worker = 0; worker < kWorkers; ++worker) {
    std::set<std::thread::id> of_worker;
    for (int i = 0; i < 3; ++i) {
      std::promise<std::thread::id> ran;
      pool.RunOn(worker, [&ran] { ran.set_value(std::this_thread::get_id()); });
      of_worker.insert(ran.get_future().get());
    }
    EXPECT_EQ(of_worker.size(), 1U);
    threads.merge(of_worker);
  }
  EXPECT_EQ(threads.size(), kWorkers);
}

TEST(WorkerPoolTest, RunOnComesBeforeTheNextStep) {
  WorkerPool pool({.workers = 1});
  std::string order;
  {
    const Blocker blocker(pool, 0);
    pool.Ready(std::make_shared<FunctionSource>([&order] { order += "step "; }));
    pool.RunOn(0, [&order] { order += "pinned1 "; });
    pool.RunOn(0, [&order] { order += "pinned2 "; });
  }
  AwaitStepsThatAreReady(pool);
  EXPECT_EQ(order, "pinned1 pinned2 step ");
}

TEST(WorkerPoolTest, OnStartRunsFirstOnEachWorker) {
  static thread_local bool prepared = false;
  constexpr int kWorkers = 3;
  std::atomic<int> starts{0};
  WorkerPool pool({.workers = kWorkers, .on_start = [&starts] {
                     prepared = true;
                     ++starts;
                   }});
  for (int worker = 0; worker < kWorkers; ++worker) {
    std::promise<bool> was_prepared;
    pool.RunOn(worker, [&was_prepared] { was_prepared.set_value(prepared); });
    EXPECT_TRUE(was_prepared.get_future().get()) << "worker " << worker;
  }
  EXPECT_EQ(starts, kWorkers);
  EXPECT_FALSE(prepared);
}

TEST(WorkerPoolTest, StopLetsTheRunningStepEnd) {
  WorkerPool pool({.workers = 1});
  std::latch running(1);
  bool ended = false;
  pool.Ready(std::make_shared<FunctionSource>([&] {
    running.count_down();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    ended = true;
  }));
  running.wait();
  pool.Stop();
  EXPECT_TRUE(ended);
}

TEST(WorkerPoolTest, StopDropsWhatIsOnlyReadyAndRunsWhatIsPinned) {
  WorkerPool pool({.workers = 1});
  std::atomic<int> steps{0};
  std::atomic<int> pinned{0};
  auto source = std::make_shared<FunctionSource>([&steps] { ++steps; });
  Blocker blocker(pool, 0);
  pool.Ready(source);
  pool.RunOn(0, [&] {
    ++pinned;
    // This waits until Stop has begun: from then on the pool holds no source.
    while (source.use_count() > 1) std::this_thread::yield();
  });
  std::jthread stopper([&pool] { pool.Stop(); });
  blocker.Release();
  stopper.join();
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(pinned, 1);
}

TEST(WorkerPoolTest, AfterStopReadyKeepsNothing) {
  WorkerPool pool({.workers = 2});
  pool.Stop();
  std::atomic<int> steps{0};
  const auto source = std::make_shared<FunctionSource>([&steps] { ++steps; });
  pool.Ready(source);
  EXPECT_EQ(source.use_count(), 1);
  pool.Stop();
  EXPECT_EQ(steps, 0);
}

TEST(WorkerPoolTest, StepThatThrowsIsReportedAndTheWorkerGoesOn) {
  std::promise<std::string> told;
  WorkerPool pool({.workers = 1, .on_exception = [&told](const char* what) { told.set_value(what); }});
  pool.Ready(std::make_shared<FunctionSource>([] { throw std::runtime_error("a step"); }));
  EXPECT_EQ(told.get_future().get(), "a step");
  AwaitStepsThatAreReady(pool);
}

TEST(WorkerPoolTest, FunctionThatThrowsDoesNotEndItsWorker) {
  WorkerPool pool({.workers = 1});
  pool.RunOn(0, [] { throw std::runtime_error("a function"); });
  AwaitStepsThatAreReady(pool);
}

TEST(WorkerPoolTest, StopByWaitsNoLongerThanItIsTold) {
  WorkerPool pool({.workers = 2});
  {
    const Blocker blocker(pool, 0);
    EXPECT_FALSE(pool.StopBy(std::chrono::steady_clock::now()));
  }
  EXPECT_TRUE(pool.StopBy(kNever));
}

TEST(WorkerPoolTest, PoolLetsGoOfASourceAfterItsStep) {
  WorkerPool pool({.workers = 1});
  auto source = std::make_shared<FunctionSource>([] {});
  const std::weak_ptr<FunctionSource> watched = source;
  pool.Ready(std::move(source));
  AwaitStepsThatAreReady(pool);
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace predictd
