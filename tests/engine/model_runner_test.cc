#include "server/engine/model_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "tests/engine/runner_fixture.h"
#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

using ModelRunnerTest = RunnerTest;

TEST_F(ModelRunnerTest, RequestGetsTheModelsOutputs) {
  const auto runner = MakeRunner();
  // Blocked until the caller is suspended, which otherwise might not happen at all.
  model_.Block();
  const PendingInference call(*runner, FloatRequest(Floats({2, 2}, {1, 2, 3, 4})));
  model_.Release();
  const auto& result = call.Await();
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->outputs.size(), 1U);
  EXPECT_EQ(Values(result->outputs[0]), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(result->outputs[0].shape(), (Shape{2, 2}));
  EXPECT_NE(call.thread(), std::this_thread::get_id());
}

TEST_F(ModelRunnerTest, BatchFormsWhileTheWorkerIsBusy) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 5; ++i)
    calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(static_cast<float>(i))));
  EXPECT_EQ(runner->queued(), 5);
  EXPECT_EQ(observer_.queued(), 5);
  EXPECT_EQ(observer_.running(), 1);
  model_.Release();
  for (int i = 0; i < 5; ++i) {
    const auto& result = calls[i]->Await();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(Values(result->outputs[0]), std::vector<float>{static_cast<float>(i)}) << "got the row of another one";
    EXPECT_EQ(result->outputs[0].shape(), (Shape{1, 1}));
    EXPECT_EQ(result->timings.batch_rows, 5);
  }
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 5}));
}

TEST_F(ModelRunnerTest, MembersOfABatchGetTheirOwnRowsWhateverTheirNumber) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference two(*runner, FloatRequest(Floats({2, 1}, {1, 2})));
  const PendingInference none(*runner, FloatRequest(Floats({0, 1}, {})));
  const PendingInference three(*runner, FloatRequest(Floats({3, 1}, {3, 4, 5})));
  model_.Release();
  EXPECT_EQ(Values(two.Await()->outputs[0]), (std::vector<float>{1, 2}));
  EXPECT_EQ(none.Await()->outputs[0].shape(), (Shape{0, 1}));
  EXPECT_EQ(Values(three.Await()->outputs[0]), (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 5}));
}

TEST_F(ModelRunnerTest, BatchIsAtMostMaxBatchSize) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/3));
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 8; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  model_.Release();
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 3, 3, 2}));
}

TEST_F(ModelRunnerTest, RequestsOfDifferentShapesRunApart) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference narrow(*runner, FloatRequest(Floats({1, 1}, {1})));
  const PendingInference wide(*runner, FloatRequest(Floats({1, 2}, {2, 3})));
  model_.Release();
  EXPECT_EQ(Values(narrow.Await()->outputs[0]), std::vector<float>{1});
  EXPECT_EQ(Values(wide.Await()->outputs[0]), (std::vector<float>{2, 3}));
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1, 1}));
}

TEST_F(ModelRunnerTest, ModelWithoutBatchesRunsOneRequestAtATime) {
  Signature signature = {{{"x", DType::kFp32, {2}}}, {{"y", DType::kFp32, {2}}}, /*batched=*/false, 1};
  const auto runner = MakeRunner(signature);
  model_.Block();
  InferenceRequest request;
  request.inputs = {Floats({2}, {1, 2})};
  const PendingInference first(*runner, request);
  model_.AwaitRuns(1);
  const PendingInference second(*runner, request);
  const PendingInference third(*runner, request);
  model_.Release();
  for (const PendingInference* call : {&first, &second, &third}) {
    EXPECT_EQ(Values(call->Await()->outputs[0]), (std::vector<float>{1, 2}));
    EXPECT_EQ(call->Await()->timings.batch_rows, 1);
  }
  EXPECT_EQ(model_.batch_rows().size(), 3U);
}

TEST_F(ModelRunnerTest, EarlierDeadlineRunsFirst) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/1));
  const auto occupant = OccupyWorker(*runner);
  const PendingInference late(*runner, OneRow(1, TimePoint(milliseconds(20))));
  const PendingInference early(*runner, OneRow(2, TimePoint(milliseconds(10))));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  model_.ReleaseOne();
  EXPECT_TRUE(early.Await().ok());
  EXPECT_FALSE(late.ended());
}

TEST_F(ModelRunnerTest, TimingsSayHowLongItWaitedAndRan) {
  const auto runner = MakeRunner();
  const auto first = OccupyWorker(*runner);
  clock_.Advance(milliseconds(1));
  const PendingInference second(*runner, OneRow(1));
  clock_.Advance(milliseconds(4));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  clock_.Advance(milliseconds(10));
  model_.ReleaseOne();

  const InferenceTimings of_first = first->Await()->timings;
  EXPECT_EQ(of_first.enqueued, TimePoint());
  EXPECT_EQ(of_first.started, TimePoint());
  const InferenceTimings of_second = second.Await()->timings;
  EXPECT_EQ(of_second.enqueued, TimePoint(milliseconds(1)));
  EXPECT_EQ(of_second.started - of_second.enqueued, milliseconds(4));
  EXPECT_EQ(of_second.ended - of_second.started, milliseconds(10));
  pool_.Stop();
  EXPECT_EQ(observer_.waited(), milliseconds(4));
}

TEST_F(ModelRunnerTest, SecondWorkerJoinsWhileMoreIsWaiting) {
  WorkerPool pool({.workers = 2});
  const auto runner = std::make_shared<ModelRunner>(model_.Make(), FloatSignature(/*max_batch_size=*/1),
                                                    ModelRunner::Options{.observer = &observer_}, pool, clock_);
  model_.Block();
  const PendingInference first(*runner, OneRow(1));
  const PendingInference second(*runner, OneRow(2));
  // Both requests are inside the model at the same time.
  model_.AwaitRuns(2);
  EXPECT_EQ(observer_.running(), 2);
  model_.Release();
  EXPECT_TRUE(first.Await().ok());
  EXPECT_TRUE(second.Await().ok());
  pool.Stop();
}

TEST_F(ModelRunnerTest, RunnersTakeTurns) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/1));
  std::atomic<int> ran_before_other{0};
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  FakeModel other_model([&](absl::Span<const Tensor> inputs) {
    ran_before_other = static_cast<int>(model_.batch_rows().size());
    return FakeModel::Echo(inputs);
  });
  const auto other = std::make_shared<ModelRunner>(other_model.Make(), FloatSignature(),
                                                   ModelRunner::Options{.observer = &observer_}, pool_, clock_);
  const PendingInference call(*other, OneRow(1));
  model_.Release();
  EXPECT_TRUE(call.Await().ok());
  EXPECT_LE(ran_before_other, 2) << "waited for the other model's whole queue";
  for (const auto& waiting : calls) EXPECT_TRUE(waiting->Await().ok());
}

TEST_F(ModelRunnerTest, RunnerThatNobodyHoldsAnyMoreAnswersWhatIsQueued) {
  auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/1));
  const auto occupant = OccupyWorker(*runner);
  const PendingInference first(*runner, OneRow(1));
  const PendingInference second(*runner, OneRow(2));
  runner.reset();
  EXPECT_FALSE(model_.destroyed());
  model_.Release();
  EXPECT_TRUE(occupant->Await().ok());
  EXPECT_TRUE(first.Await().ok());
  EXPECT_TRUE(second.Await().ok());
  pool_.Stop();
  EXPECT_TRUE(model_.destroyed());
}

TEST_F(ModelRunnerTest, WorksWithoutAnObserver) {
  const auto runner =
      std::make_shared<ModelRunner>(model_.Make(), FloatSignature(), ModelRunner::Options{}, pool_, clock_);
  const PendingInference call(*runner, OneRow(1));
  EXPECT_TRUE(call.Await().ok());
}

TEST_F(ModelRunnerTest, ObserverCountsBatchesRowsAndRequests) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference two(*runner, FloatRequest(Floats({2, 1}, {1, 2})));
  const PendingInference one(*runner, OneRow(3));
  model_.Release();
  EXPECT_TRUE(two.Await().ok());
  EXPECT_TRUE(one.Await().ok());
  pool_.Stop();
  EXPECT_EQ(observer_.batches(), 2);
  EXPECT_EQ(observer_.rows(), 4);
  EXPECT_EQ(observer_.dequeued(), 3);
}

// A model whose larger batches take far longer, until they cost no more than small ones.
class RunnerCostTest : public RunnerTest {
 protected:
  RunnerCostTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) {
          const int64_t rows = inputs[0].shape()[0];
          clock_.Advance(milliseconds(cheap_ ? 1 : rows * rows));
          return FakeModel::Echo(inputs);
        }) {}

  // Lets eight requests wait, and returns how many of them were answered together at most.
  int64_t LargestOfEight(ModelRunner& runner) {
    const auto occupant = OccupyWorker(runner);
    std::vector<std::unique_ptr<PendingInference>> calls;
    for (int i = 0; i < 8; ++i) calls.push_back(std::make_unique<PendingInference>(runner, OneRow(0)));
    model_.Release();
    int64_t most = 0;
    for (const auto& call : calls) most = std::max(most, call->Await()->timings.batch_rows);
    EXPECT_TRUE(occupant->Await().ok());
    return most;
  }

  std::atomic<bool> cheap_{false};
};

TEST_F(RunnerCostTest, LargeBatchesThatDoNotPayAreTriedAgainNowAndThen) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/8));
  EXPECT_EQ(LargestOfEight(*runner), 8) << "nothing is known yet";
  EXPECT_EQ(LargestOfEight(*runner), 1);
  cheap_ = true;
  int rounds = 0;
  while (rounds < 1000 && LargestOfEight(*runner) < 8) ++rounds;
  EXPECT_LT(rounds, 64) << "a step in 64 tries as many as there are";
  // The average of what a large batch takes has to come down first.
  while (rounds < 1000 && (LargestOfEight(*runner) < 8 || LargestOfEight(*runner) < 8)) ++rounds;
  EXPECT_LT(rounds, 1000);
}

}  // namespace
}  // namespace predictd
