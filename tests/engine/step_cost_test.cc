#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

using std::chrono::microseconds;

class StepCostTest : public RunnerTest {
 protected:
  // Runs one request that takes that long.
  void Measure(ModelRunner& runner, Duration cost) {
    const size_t before = model_.batch_rows().size();
    model_.Block();
    const PendingInference call(runner, OneRow(1));
    model_.AwaitRuns(before + 1);
    clock_.Advance(cost);
    model_.ReleaseOne();
    EXPECT_TRUE(call.Await().ok());
    model_.Release();
  }
};

TEST_F(StepCostTest, IsLongUntilItWasMeasured) {
  const auto runner = MakeRunner();
  EXPECT_EQ(runner->StepCost(), Duration::max());
}

TEST_F(StepCostTest, IsTheFirstMeasurementAndThenSmoothed) {
  const auto runner = MakeRunner();
  Measure(*runner, microseconds(80));
  EXPECT_EQ(runner->StepCost(), microseconds(80));
  Measure(*runner, microseconds(160));
  EXPECT_EQ(runner->StepCost(), microseconds(90));
  Measure(*runner, microseconds(10));
  EXPECT_EQ(runner->StepCost(), microseconds(80));
}

TEST_F(StepCostTest, IsThatOfTheBatchThatWouldBeTaken) {
  const auto runner = MakeRunner();
  Measure(*runner, microseconds(20));
  model_.Block();
  const PendingInference occupant(*runner, OneRow(0));
  model_.AwaitRuns(2);
  std::vector<std::unique_ptr<PendingInference>> waiting;
  for (int i = 0; i < 9; ++i) waiting.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  clock_.Advance(microseconds(20));
  model_.ReleaseOne();
  model_.AwaitRuns(3);
  clock_.Advance(microseconds(5000));
  model_.ReleaseOne();
  for (const auto& call : waiting) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(runner->StepCost(), microseconds(20));

  const PendingInference again(*runner, OneRow(0));
  model_.AwaitRuns(4);
  for (auto& call : waiting) call = std::make_unique<PendingInference>(*runner, OneRow(1));
  EXPECT_EQ(runner->StepCost(), microseconds(5000));
  model_.Release();
  for (const auto& call : waiting) EXPECT_TRUE(call->Await().ok());
}

TEST_F(StepCostTest, CountsRowsAndNotRequests) {
  const auto runner = MakeRunner();
  EXPECT_TRUE(runner->WarmUp({}).ok());
  Measure(*runner, microseconds(20));
  const auto occupant = OccupyWorker(*runner);
  const PendingInference many(*runner, FloatRequest(Floats({64, 1}, std::vector<float>(64))));
  const Duration of_one_request = runner->StepCost();
  model_.Release();
  EXPECT_TRUE(many.Await().ok());
  EXPECT_LT(of_one_request, microseconds(1)) << "that is what 64 rows took in the warm-up, and one row took longer";
}

TEST_F(StepCostTest, FailuresTeachNothing) {
  FakeModel model(FailOnNegative);
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool_, clock_);
  const PendingInference call(*runner, OneRow(-1));
  EXPECT_FALSE(call.Await().ok());
  EXPECT_EQ(runner->StepCost(), Duration::max());
  pool_.Stop();
}

TEST_F(StepCostTest, SlowModelNeverRunsOnTheThreadOfTheBurst) {
  const auto runner = MakeRunner();
  Measure(*runner, microseconds(51));
  AwaitSleepingWorker(pool_);
  std::unique_ptr<PendingInference> call;
  {
    const WorkerPool::WakeupBatch burst(pool_);
    call = std::make_unique<PendingInference>(*runner, OneRow(1));
  }
  EXPECT_TRUE(call->Await().ok());
  EXPECT_NE(call->thread(), std::this_thread::get_id());
}

}  // namespace
}  // namespace predictd
