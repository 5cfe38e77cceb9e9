#include "server/engine/loop_gate.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/engine/runner_fixture.h"
#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

using std::chrono::microseconds;

// Tests what may run on an event loop. Here that is the thread that ends a burst.
class LoopGateTest : public RunnerTest {
 protected:
  // Failures take far longer than a loop may be blocked.
  LoopGateTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) {
          absl::StatusOr<std::vector<Tensor>> outputs = FailOnNegative(inputs);
          if (!outputs.ok()) clock_.Advance(100 * kLoopBound);
          return outputs;
        }) {}

  // Whether the request was answered on this thread.
  bool RunsHere(ModelRunner& runner, InferenceRequest request) {
    AwaitSleepingWorker(pool_);
    std::unique_ptr<PendingInference> call;
    {
      const WorkerPool::WakeupBatch burst(pool_);
      call = std::make_unique<PendingInference>(runner, std::move(request));
    }
    EXPECT_TRUE(call->Await().ok());
    return call->thread() == std::this_thread::get_id();
  }

  // Runs one request on the worker while time passes: for `computed` the thread computes, and for `kept` it is kept
  // from computing.
  void Run(ModelRunner& runner, Duration computed, Duration kept = Duration::zero()) {
    const size_t before = model_.batch_rows().size();
    model_.Block();
    const PendingInference call(runner, OneRow(1));
    model_.AwaitRuns(before + 1);
    clock_.Advance(computed);
    clock_.Preempt(kept);
    model_.Release();
    EXPECT_TRUE(call.Await().ok());
  }
};

TEST_F(LoopGateTest, ModelWhoseLargestBatchIsCheapMayRunAnywhereWhileAWorkerSleeps) {
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  EXPECT_TRUE(runner->MayRunOnLoop());
  EXPECT_TRUE(RunsHere(*runner, OneRow(1)));
}

TEST_F(LoopGateTest, ABurstIsOneBatchOnItsThread) {
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  const size_t before = model_.batch_rows().size();
  AwaitSleepingWorker(pool_);
  std::unique_ptr<PendingInference> first;
  std::unique_ptr<PendingInference> second;
  {
    const WorkerPool::WakeupBatch burst(pool_);
    first = std::make_unique<PendingInference>(*runner, OneRow(1));
    second = std::make_unique<PendingInference>(*runner, OneRow(2));
    EXPECT_FALSE(first->ended());
  }
  ASSERT_TRUE(first->ended());
  ASSERT_TRUE(second->ended());
  EXPECT_EQ(Values(second->Await()->outputs[0]), std::vector<float>{2});
  EXPECT_EQ(model_.batch_rows().size(), before + 1);
  EXPECT_EQ(model_.batch_rows().back(), 2);
}

TEST_F(LoopGateTest, WithoutAWarmUpNothingIsKnown) {
  const auto runner = MakeRunner(ClosedSignature());
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(RunsHere(*runner, OneRow(1)));
}

TEST_F(LoopGateTest, AnExtentWithoutABoundIsNeverCheap) {
  const auto runner = MakeRunner(FloatSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  EXPECT_FALSE(runner->MayRunOnLoop());
}

TEST_F(LoopGateTest, APaddedExtentHasABound) {
  Signature signature = FloatSignature();
  signature.padding.lengths = {{0, "x", 1, {4, 8}}};
  signature.padding.inputs = {{0, 1, 0}};
  const auto runner = MakeRunner(signature);
  EXPECT_TRUE(runner->WarmUp({}).ok());
  EXPECT_TRUE(runner->MayRunOnLoop());
}

TEST_F(LoopGateTest, StringsHaveNoBound) {
  const TensorSpec spec = {"x", DType::kBytes, {-1, 1}};
  const auto runner = MakeRunner({{spec}, {{"y", DType::kBytes, {-1, 1}}}, /*batched=*/true, /*max_batch_size=*/2});
  EXPECT_TRUE(runner->WarmUp({}).ok());
  EXPECT_FALSE(runner->MayRunOnLoop());
}

TEST_F(LoopGateTest, AModelWhoseCostDependsOnElementsIsNeverCheap) {
  model_.LetElementsDecideTheCost();
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  EXPECT_FALSE(runner->MayRunOnLoop());
}

TEST_F(LoopGateTest, OneRunThatComputedFarTooLongIsEnoughOnceThatIsLookedAt) {
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  Run(*runner, 4 * kLoopBound);
  Run(*runner, 4 * kLoopBound);
  EXPECT_TRUE(runner->MayRunOnLoop()) << "a little longer than it should is nothing";
  Run(*runner, 4 * kLoopBound + microseconds(1));
  EXPECT_TRUE(runner->MayRunOnLoop()) << "nobody knows whether it computed";
  Run(*runner, 4 * kLoopBound + microseconds(1));
  EXPECT_FALSE(runner->MayRunOnLoop());
  for (int i = 0; i < 100; ++i) Run(*runner, microseconds(1));
  EXPECT_FALSE(runner->MayRunOnLoop()) << "for good";
}

TEST_F(LoopGateTest, ARunThatWasKeptFromComputingIsForgiven) {
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  for (int i = 0; i < 10; ++i) Run(*runner, microseconds(10), /*kept=*/std::chrono::seconds(1));
  EXPECT_TRUE(runner->MayRunOnLoop());
}

TEST_F(LoopGateTest, ARunThatFailsKeepsTheModelOffTheLoopForAWhile) {
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(LoopGate::kRestAfterFailure);
    ASSERT_TRUE(runner->MayRunOnLoop()) << "however long failures take";
    const PendingInference bad(*runner, OneRow(-1));
    EXPECT_FALSE(bad.Await().ok());
    EXPECT_FALSE(runner->MayRunOnLoop());
  }
  clock_.Advance(LoopGate::kRestAfterFailure - Duration(1));
  EXPECT_FALSE(runner->MayRunOnLoop());
}

TEST_F(LoopGateTest, ABatchThatFailedIsSearchedOnAWorker) {
  const auto runner = MakeRunner(ClosedSignature());
  EXPECT_TRUE(runner->WarmUp({}).ok());
  AwaitSleepingWorker(pool_);
  std::unique_ptr<PendingInference> good;
  std::unique_ptr<PendingInference> bad;
  {
    const WorkerPool::WakeupBatch burst(pool_);
    good = std::make_unique<PendingInference>(*runner, OneRow(1));
    bad = std::make_unique<PendingInference>(*runner, OneRow(-1));
  }
  EXPECT_TRUE(good->Await().ok());
  EXPECT_FALSE(bad->Await().ok());
  EXPECT_NE(good->thread(), std::this_thread::get_id());
  EXPECT_NE(bad->thread(), std::this_thread::get_id());
}

// A model that needs a microsecond per row.
class MicrosecondRowTest : public RunnerTest {
 protected:
  MicrosecondRowTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) {
          clock_.Advance(microseconds(inputs[0].shape()[0]));
          return FakeModel::Echo(inputs);
        }) {}
};

TEST_F(MicrosecondRowTest, TheLargestBatchDecidesAndNotWhatIsSent) {
  const auto fits = MakeRunner(ClosedSignature(/*max_batch_size=*/50));
  EXPECT_TRUE(fits->WarmUp({}).ok());
  EXPECT_TRUE(fits->MayRunOnLoop());
  const auto too_large = MakeRunner(ClosedSignature(/*max_batch_size=*/51));
  EXPECT_TRUE(too_large->WarmUp({}).ok());
  EXPECT_FALSE(too_large->MayRunOnLoop());
}

TEST(LoopGateUnitTest, WhatIsShutOnOneThreadStaysShut) {
  const ManualClock clock;
  LoopGate gate(microseconds(50));
  EXPECT_FALSE(gate.MayRun(clock));
  gate.OnWarmedUp(microseconds(50));
  EXPECT_TRUE(gate.MayRun(clock));
  gate.OnWarmedUp(microseconds(51));
  EXPECT_FALSE(gate.MayRun(clock));
  gate.OnWarmedUp(microseconds(1));
  EXPECT_FALSE(gate.MayRun(clock));
}

TEST(LoopGateUnitTest, WithoutABoundItNeverOpens) {
  const ManualClock clock;
  LoopGate gate(Duration::zero());
  gate.OnWarmedUp(Duration::zero());
  EXPECT_FALSE(gate.MayRun(clock));
}

}  // namespace
}  // namespace predictd
