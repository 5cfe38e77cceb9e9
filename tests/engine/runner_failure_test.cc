#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

class RunnerFailureTest : public RunnerTest {
 protected:
  RunnerFailureTest() : RunnerTest(FailOnNegative) {}
};

TEST_F(RunnerFailureTest, FailureOfTheModelIsTheAnswer) {
  const auto runner = MakeRunner();
  const PendingInference call(*runner, OneRow(-1));
  EXPECT_EQ(call.AwaitStatus(), absl::InternalError("negative element"));
}

TEST_F(RunnerFailureTest, OneBadMemberDoesNotFailItsBatchMates) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference good(*runner, OneRow(1));
  const PendingInference bad(*runner, OneRow(-1));
  const PendingInference other(*runner, FloatRequest(Floats({2, 1}, {2, 3})));
  model_.Release();
  EXPECT_EQ(Values(good.Await()->outputs[0]), std::vector<float>{1});
  EXPECT_EQ(good.Await()->timings.batch_rows, 1);
  EXPECT_EQ(bad.AwaitStatus(), absl::InternalError("negative element"));
  EXPECT_EQ(Values(other.Await()->outputs[0]), (std::vector<float>{2, 3}));
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 4, 1, 1, 2})) << "the batch, and then each on its own";
}

TEST_F(RunnerFailureTest, TheOneThatIsToBlameIsFoundByHalving) {
  for (const size_t bad : {0, 1, 31, 32, 62, 63}) {
    const auto runner = MakeRunner();
    const size_t before = model_.batch_rows().size();
    model_.Block();
    const PendingInference occupant(*runner, OneRow(0));
    model_.AwaitRuns(before + 1);
    std::vector<std::unique_ptr<PendingInference>> calls;
    for (size_t i = 0; i < 64; ++i)
      calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(i == bad ? -1 : 1)));
    model_.Release();
    for (size_t i = 0; i < 64; ++i) EXPECT_EQ(calls[i]->Await().ok(), i != bad) << i;
    // The runs are the batch, six halves, perhaps the last job alone, and the jobs of which nothing was known.
    EXPECT_LE(model_.batch_rows().size() - before - 1, 9U) << bad;
  }
}

TEST_F(RunnerFailureTest, ABatchThatFailsAsAWholeRunsBoundedlyOften) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 64; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(-1)));
  model_.Release();
  for (const auto& call : calls) EXPECT_EQ(call->AwaitStatus(), absl::InternalError("negative element"));
  EXPECT_LE(model_.batch_rows().size() - 1, 64U + 3 * 7);
}

TEST_F(RunnerFailureTest, OtherModelsHaveTheirTurnBetweenThePartsOfABatchThatFailed) {
  const auto runner = MakeRunner();
  FakeModel other_model;
  const auto other =
      std::make_shared<ModelRunner>(other_model.Make(), FloatSignature(), ModelRunner::Options{}, pool_, clock_);
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 64; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(-1)));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  const PendingInference call(*other, OneRow(1));
  EXPECT_FALSE(call.ended());
  // The batch fails; then its first half may run next, but not all of its parts.
  model_.ReleaseOne();
  model_.ReleaseOne();
  EXPECT_TRUE(call.Await().ok());
  model_.Release();
  for (const auto& bad : calls) EXPECT_FALSE(bad->Await().ok());
}

TEST_F(RunnerFailureTest, WhatWaitsHasItsTurnBetweenThePartsOfABatchThatFailed) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 64; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(-1)));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  const PendingInference call(*runner, OneRow(1));
  for (int i = 0; i < 3; ++i) model_.ReleaseOne();
  EXPECT_TRUE(call.Await().ok());
  model_.Release();
  for (const auto& bad : calls) EXPECT_FALSE(bad->Await().ok());
  const std::vector<int64_t> rows = model_.batch_rows();
  EXPECT_EQ(std::vector<int64_t>(rows.begin(), rows.begin() + 5), (std::vector<int64_t>{1, 64, 32, 1, 16}));
}

TEST_F(RunnerFailureTest, BatchesThatFailedDoNotKeepASmallOneFromWaitingForOthers) {
  const ModelRunner::Options options = {.queue = {.max_delay = std::chrono::seconds(1)}, .observer = &observer_};
  const auto runner =
      std::make_shared<ModelRunner>(model_.Make(), FloatSignature(/*max_batch_size=*/4), options, pool_, clock_);
  model_.Block();
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(-1)));
  model_.AwaitRuns(1);
  const PendingInference waits(*runner, OneRow(1));
  model_.Release();
  for (const auto& bad : calls) EXPECT_FALSE(bad->Await().ok());
  EXPECT_FALSE(waits.ended());
}

TEST_F(RunnerFailureTest, SeveralThatAreToBlameFailAlone) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 40; ++i)
    calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(i % 7 == 3 ? -1 : 1)));
  model_.Release();
  for (int i = 0; i < 40; ++i) EXPECT_EQ(calls[i]->Await().ok(), i % 7 != 3) << i;
}

TEST_F(RunnerFailureTest, MemberThatWasCancelledIsNotRunAgain) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference bad(*runner, OneRow(-1));
  PendingInference cancelled(*runner, OneRow(1));
  const PendingInference good(*runner, OneRow(2));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  cancelled.stop().RequestStop(StopReason::kCancelled);
  model_.Release();
  EXPECT_EQ(bad.AwaitStatus().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(good.Await().ok());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 3, 1, 1}));
}

TEST_F(RunnerFailureTest, MemberWhoseDeadlineHasPassedIsNotRunAgain) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference bad(*runner, OneRow(-1));
  const PendingInference late(*runner, OneRow(1, clock_.Now() + std::chrono::milliseconds(100)));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  clock_.Advance(std::chrono::milliseconds(100));
  model_.Release();
  EXPECT_EQ(late.AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(bad.AwaitStatus().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 2, 1}));
}

TEST_F(RunnerFailureTest, RequestsThatAreRunAgainAreCountedAsDequeuedOnce) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference bad(*runner, OneRow(-1));
  const PendingInference good(*runner, OneRow(1));
  model_.Release();
  EXPECT_FALSE(bad.Await().ok());
  EXPECT_TRUE(good.Await().ok());
  pool_.Stop();
  EXPECT_EQ(observer_.dequeued(), 3);
}

TEST_F(RunnerFailureTest, RunnerGoesOnAfterAFailure) {
  const auto runner = MakeRunner();
  for (int i = 0; i < 10; ++i) {
    const PendingInference call(*runner, OneRow(i % 2 == 0 ? -1.0F : 1.0F));
    EXPECT_EQ(call.Await().ok(), i % 2 == 1);
  }
}

struct WrongOutputs {
  const char* what;
  FakeModel::Compute compute;
  const char* message;
};

std::ostream& operator<<(std::ostream& out, const WrongOutputs& c) {
  return out << c.what;
}

class WrongOutputsTest : public RunnerTest, public testing::WithParamInterface<WrongOutputs> {
 protected:
  WrongOutputsTest() : RunnerTest(GetParam().compute) {}
};

TEST_P(WrongOutputsTest, IsInternalAndSaysHow) {
  const auto runner = MakeRunner();
  const PendingInference call(*runner, OneRow(1));
  EXPECT_EQ(call.AwaitStatus(), absl::InternalError(GetParam().message));
}

FakeModel::Compute Returning(std::vector<Tensor> outputs) {
  return [outputs = std::move(outputs)](absl::Span<const Tensor>) { return outputs; };
}

INSTANTIATE_TEST_SUITE_P(Table, WrongOutputsTest,
                         testing::Values(WrongOutputs{"none", Returning({}),
                                                      "the model returned 0 outputs, its signature has 1"},
                                         WrongOutputs{"two", Returning({Floats({1, 1}, {1}), Floats({1, 1}, {1})}),
                                                      "the model returned 2 outputs, its signature has 1"},
                                         WrongOutputs{"rank", Returning({Floats({1}, {1})}),
                                                      "output y is FP32[1], its signature says FP32[-1,-1]"},
                                         WrongOutputs{"type", Returning({Strings({1, 1}, {"a"})}),
                                                      "output y is BYTES[1,1], its signature says FP32[-1,-1]"},
                                         WrongOutputs{"rows", Returning({Floats({2, 1}, {1, 2})}),
                                                      "output y has 2 rows for an input of 1"}));

// A model that breaks its promise and throws.
class ThrowingTest : public RunnerTest {
 protected:
  ThrowingTest()
      : RunnerTest([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
          for (float value : Values(inputs[0])) {
            if (value == -1) throw std::bad_alloc();
            if (value == -2) throw std::runtime_error("out of sorts");
          }
          return FakeModel::Echo(inputs);
        }) {}
};

TEST_F(ThrowingTest, ExceptionsAreTheAnswersOfThoseWhoCausedThem) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference good(*runner, OneRow(1));
  const PendingInference large(*runner, OneRow(-1));
  const PendingInference wrong(*runner, OneRow(-2));
  model_.Release();
  EXPECT_TRUE(good.Await().ok());
  EXPECT_EQ(large.AwaitStatus().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(wrong.AwaitStatus(), absl::InternalError("out of sorts"));
}

// A model that is right for one row only: batches of it fail, and no caller notices.
TEST(SingleRowModelTest, WrongOutputsOfABatchAreRepairedByRunningEachAlone) {
  FakeModel model([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    return std::vector<Tensor>{inputs[0].Rows(0, 1)};
  });
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool, clock);
  model.Block();
  const PendingInference occupant(*runner, OneRow(0));
  model.AwaitRuns(1);
  const PendingInference first(*runner, OneRow(1));
  const PendingInference second(*runner, OneRow(2));
  model.Release();
  EXPECT_EQ(Values(first.Await()->outputs[0]), std::vector<float>{1});
  EXPECT_EQ(Values(second.Await()->outputs[0]), std::vector<float>{2});
  pool.Stop();
}

}  // namespace
}  // namespace predictd
