#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "server/async/retry_advice.h"
#include "server/engine/model_runner.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/function_source.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

class AdmissionTest : public RunnerTest {
 protected:
  // Fills the queue while the worker is busy.
  void Fill(ModelRunner& runner, int requests) {
    occupant_ = OccupyWorker(runner);
    for (int i = 0; i < requests; ++i) waiting_.push_back(std::make_unique<PendingInference>(runner, OneRow(1)));
  }

  void TearDown() override {
    model_.Release();
    for (const auto& call : waiting_) EXPECT_TRUE(call->Await().ok());
    RunnerTest::TearDown();
  }

  std::unique_ptr<PendingInference> occupant_;
  std::vector<std::unique_ptr<PendingInference>> waiting_;
};

TEST_F(AdmissionTest, FullQueueRefusesAtOnceOnTheCallersThread) {
  const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/3);
  Fill(*runner, 3);
  const PendingInference refused(*runner, OneRow(1));
  ASSERT_TRUE(refused.ended());
  EXPECT_EQ(refused.thread(), std::this_thread::get_id());
  EXPECT_EQ(refused.AwaitStatus().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.AwaitStatus().message(), "the model's queue is full: 3 requests of 12 bytes wait");
  EXPECT_EQ(runner->queued(), 3);
  EXPECT_EQ(observer_.queued(), 3);
}

TEST_F(AdmissionTest, RequestThatRunsTakesNoRoomInTheQueue) {
  const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/1);
  Fill(*runner, 1);
  EXPECT_FALSE(waiting_[0]->ended());
}

TEST_F(AdmissionTest, RoomThatACancelledRequestLeavesIsGivenToTheNext) {
  const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/1);
  occupant_ = OccupyWorker(*runner);
  PendingInference cancelled(*runner, OneRow(1));
  cancelled.stop().RequestStop(StopReason::kCancelled);
  const PendingInference next(*runner, OneRow(2));
  EXPECT_FALSE(next.ended());
  model_.Release();
  EXPECT_TRUE(next.Await().ok());
}

TEST_F(AdmissionTest, ReplacementIsNeverRefused) {
  const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/1);
  Fill(*runner, 1);
  const PendingInference replacement(*runner, OneRow(1), Admission::kReplacement);
  EXPECT_FALSE(replacement.ended());
  EXPECT_EQ(runner->queued(), 2);
  model_.Release();
  EXPECT_TRUE(replacement.Await().ok());
}

TEST_F(AdmissionTest, BeforeAnyMeasurementTheAdviceIsTheShortestDelay) {
  const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/1);
  Fill(*runner, 1);
  const PendingInference refused(*runner, OneRow(1));
  EXPECT_EQ(RetryAfter(refused.AwaitStatus()), absl::Milliseconds(1));
}

TEST_F(AdmissionTest, AdviceIsTheTimeThatTheQueueTakesFromWhatABatchTook) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/2), /*queue_capacity=*/6);
  model_.Block();
  {
    const PendingInference measured(*runner, OneRow(1));
    model_.AwaitRuns(1);
    clock_.Advance(milliseconds(100));
    model_.ReleaseOne();
    EXPECT_TRUE(measured.Await().ok());
  }
  const PendingInference running(*runner, OneRow(1));
  model_.AwaitRuns(2);
  for (int i = 0; i < 6; ++i) waiting_.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  const PendingInference refused(*runner, OneRow(1));
  // One batch runs, three wait, and the batch of this request would be the next.
  EXPECT_EQ(RetryAfter(refused.AwaitStatus()), absl::Milliseconds(500));
  model_.Release();
  EXPECT_TRUE(running.Await().ok());
}

TEST_F(AdmissionTest, AdviceIsNeverMoreThanTenSeconds) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/1), /*queue_capacity=*/1);
  model_.Block();
  {
    const PendingInference measured(*runner, OneRow(1));
    model_.AwaitRuns(1);
    clock_.Advance(std::chrono::hours(1));
    model_.ReleaseOne();
    EXPECT_TRUE(measured.Await().ok());
  }
  const PendingInference running(*runner, OneRow(1));
  model_.AwaitRuns(2);
  waiting_.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  const PendingInference refused(*runner, OneRow(1));
  EXPECT_EQ(RetryAfter(refused.AwaitStatus()), absl::Seconds(10));
  model_.Release();
  EXPECT_TRUE(running.Await().ok());
}

// A model with batches of two, each of which takes 100 ms.
class DeadlineAdmissionTest : public AdmissionTest {
 protected:
  DeadlineAdmissionTest() {
    model_.Block();
    {
      const PendingInference measured(*runner_, OneRow(1));
      model_.AwaitRuns(1);
      clock_.Advance(milliseconds(100));
      model_.ReleaseOne();
      EXPECT_TRUE(measured.Await().ok());
    }
    occupant_ = std::make_unique<PendingInference>(*runner_, OneRow(1));
    model_.AwaitRuns(2);
  }

  // A request with `left` until its deadline.
  InferenceRequest Within(Duration left) { return OneRow(1, clock_.Now() + left); }

  const std::shared_ptr<ModelRunner> runner_ = MakeRunner(FloatSignature(/*max_batch_size=*/2));
};

TEST_F(DeadlineAdmissionTest, RequestThatWouldMissItsDeadlineIsRefusedAtOnce) {
  // One batch runs and this request's own comes next: that takes 200 ms, and an eighth more must fit.
  const PendingInference refused(*runner_, Within(milliseconds(224)));
  ASSERT_TRUE(refused.ended());
  EXPECT_EQ(refused.AwaitStatus().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.AwaitStatus().message(),
            "the request would miss its deadline: an answer takes about 200ms, and 224ms are left");
  EXPECT_EQ(RetryAfter(refused.AwaitStatus()), absl::Milliseconds(200));
  waiting_.push_back(std::make_unique<PendingInference>(*runner_, Within(milliseconds(225))));
  EXPECT_FALSE(waiting_[0]->ended());
}

TEST_F(DeadlineAdmissionTest, OnlyWhatRunsBeforeCounts) {
  for (int i = 0; i < 20; ++i) waiting_.push_back(std::make_unique<PendingInference>(*runner_, OneRow(1)));
  waiting_.push_back(std::make_unique<PendingInference>(*runner_, Within(milliseconds(300))));
  EXPECT_FALSE(waiting_.back()->ended());
  waiting_.push_back(std::make_unique<PendingInference>(*runner_, Within(milliseconds(330))));
  EXPECT_FALSE(waiting_.back()->ended());
  // Now a batch is ahead that the request cannot join: 300 ms.
  EXPECT_TRUE(PendingInference(*runner_, Within(milliseconds(337))).ended());
  waiting_.push_back(std::make_unique<PendingInference>(*runner_, Within(milliseconds(338))));
  EXPECT_FALSE(waiting_.back()->ended());
}

TEST_F(DeadlineAdmissionTest, TimeThatTheRunningBatchHasHadIsTakenOff) {
  clock_.Advance(milliseconds(60));
  EXPECT_TRUE(PendingInference(*runner_, Within(milliseconds(157))).ended());
  waiting_.push_back(std::make_unique<PendingInference>(*runner_, Within(milliseconds(158))));
  EXPECT_FALSE(waiting_[0]->ended());
}

TEST_F(DeadlineAdmissionTest, HopelessRequestIsAnsweredWithoutARun) {
  auto hopeless = std::make_unique<PendingInference>(*runner_, Within(milliseconds(300)));
  clock_.Advance(milliseconds(260));
  model_.Release();
  EXPECT_TRUE(occupant_->Await().ok());
  EXPECT_EQ(hopeless->AwaitStatus().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(model_.batch_rows().size(), 2U);
}

TEST_F(DeadlineAdmissionTest, IdleModelRefusesNothing) {
  model_.ReleaseOne();
  EXPECT_TRUE(occupant_->Await().ok());
  AwaitSleepingWorker(pool_);
  // The deadline leaves a tenth of the last batch's time: the model may have become faster.
  const PendingInference quick(*runner_, Within(milliseconds(10)));
  model_.AwaitRuns(3);
  model_.Release();
  EXPECT_TRUE(quick.Await().ok());
}

}  // namespace
}  // namespace predictd
