#include "server/async/run_on_worker.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <thread>

namespace predictd {
namespace {

TEST(RunOnWorkerTest, ReturnsWhatTheFunctionReturnsOnThatThread) {
  WorkerPool pool({.workers = 2});
  const auto id = [] { return std::this_thread::get_id(); };
  const std::thread::id first = RunOnWorker(pool, 0, id);
  const std::thread::id second = RunOnWorker(pool, 1, id);
  EXPECT_NE(first, std::this_thread::get_id());
  EXPECT_NE(first, second);
  EXPECT_EQ(RunOnWorker(pool, 0, id), first);
  const std::unique_ptr<int> moved = RunOnWorker(pool, 0, [] { return std::make_unique<int>(7); });
  EXPECT_EQ(*moved, 7);
  bool ran = false;
  RunOnWorker(pool, 1, [&ran] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(RunOnWorkerTest, ThrowsWhatTheFunctionThrowsAndTheWorkerGoesOn) {
  WorkerPool pool({.workers = 1, .on_exception = [](const char* what) { ADD_FAILURE() << what; }});
  EXPECT_THROW(RunOnWorker(pool, 0, []() -> int { throw std::out_of_range("no such row"); }), std::out_of_range);
  EXPECT_EQ(RunOnWorker(pool, 0, [] { return 7; }), 7);
}

}  // namespace
}  // namespace predictd
