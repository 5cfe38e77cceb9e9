#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "server/async/retry_advice.h"
#include "server/engine/model_runner.h"
#include "tests/engine/findings.h"
#include "tests/engine/runner_fixture.h"
#include "tests/engine/simulated_scheduler.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

// A runner that waits 10 ms for larger batches, with a simulated worker and clock.
class RunnerDelayTest : public testing::Test {
 protected:
  static TimePoint At(int ms) { return TimePoint(milliseconds(ms)); }

  Findings findings_;
  SimulatedScheduler scheduler_{1, 1000, findings_, [] {}};
  FakeModel model_;
  const std::shared_ptr<ModelRunner> runner_ = std::make_shared<ModelRunner>(
      model_.Make(), FloatSignature(), ModelRunner::Options{.queue = {.max_delay = milliseconds(10)}}, scheduler_,
      scheduler_.clock());

  void SetUp() override { scheduler_.SetWeight(*runner_, 1); }
};

TEST_F(RunnerDelayTest, RequestRunsWhenItsDelayIsOver) {
  const PendingInference call(*runner_, OneRow(1));
  scheduler_.AdvanceTo(At(9));
  EXPECT_FALSE(call.ended());
  scheduler_.AdvanceTo(At(10));
  ASSERT_TRUE(call.ended());
  EXPECT_TRUE(call.Await().ok());
}

TEST_F(RunnerDelayTest, RequestDoesNotWaitForTheTimeOfACancelledOneBeforeIt) {
  InferenceRequest urgent = OneRow(1);
  urgent.priority = kMaxPriority;
  PendingInference first(*runner_, std::move(urgent));
  // This request could wait for half of its time.
  const PendingInference second(*runner_, OneRow(2, At(4)));
  scheduler_.AdvanceTo(At(1));
  first.stop().RequestStop(StopReason::kCancelled);
  scheduler_.AdvanceTo(At(2));
  ASSERT_TRUE(second.ended());
  EXPECT_EQ(Values(second.Await()->outputs[0]), std::vector<float>{2});
}

TEST_F(RunnerDelayTest, WhoFindsTheQueueFullIsToldToComeBackWhenItsBatchIsTaken) {
  const auto runner = std::make_shared<ModelRunner>(
      model_.Make(), FloatSignature(),
      ModelRunner::Options{.queue = {.capacity = 2, .max_delay = std::chrono::seconds(3)}}, scheduler_,
      scheduler_.clock());
  scheduler_.SetWeight(*runner, 1);
  const PendingInference first(*runner, OneRow(1));
  scheduler_.AdvanceTo(At(1000));
  const PendingInference second(*runner, OneRow(2));
  const PendingInference refused(*runner, OneRow(3));
  ASSERT_TRUE(refused.ended());
  EXPECT_EQ(RetryAfter(refused.AwaitStatus()), absl::Seconds(2));
  scheduler_.AdvanceTo(At(3000));
  EXPECT_TRUE(first.Await().ok());
  EXPECT_TRUE(second.Await().ok());
}

}  // namespace
}  // namespace predictd
