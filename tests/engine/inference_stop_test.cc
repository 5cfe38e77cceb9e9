#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

using InferenceStopTest = RunnerTest;

TEST_F(InferenceStopTest, RequestThatExpiresInTheQueueIsNeverComputed) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference expired(*runner, OneRow(1, TimePoint(milliseconds(10))));
  const PendingInference alive(*runner, OneRow(2, TimePoint(milliseconds(100))));
  clock_.Advance(milliseconds(10));
  model_.Release();
  EXPECT_EQ(expired.AwaitStatus().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(expired.AwaitStatus().message(), "the deadline passed in the queue");
  EXPECT_TRUE(alive.Await().ok());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1}));
}

TEST_F(InferenceStopTest, ExpiredRequestIsAnsweredBeforeTheBatchEnds) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  PendingInference waiting(*runner, OneRow(1, TimePoint(milliseconds(10))));
  // This is what the call's timer does.
  waiting.stop().RequestStop(StopReason::kDeadline);
  ASSERT_TRUE(waiting.ended());
  EXPECT_EQ(waiting.AwaitStatus().message(), "the deadline passed in the queue");
  EXPECT_FALSE(occupant->ended());
}

TEST_F(InferenceStopTest, ExpiredRequestsInFrontDoNotKeepTheRestWaiting) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> expired;
  for (int i = 0; i < 20; ++i) {
    expired.push_back(std::make_unique<PendingInference>(*runner, OneRow(1, TimePoint(milliseconds(1)))));
  }
  const PendingInference alive(*runner, OneRow(2));
  clock_.Advance(milliseconds(5));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  for (const auto& call : expired) EXPECT_TRUE(call->ended()) << "answered only after the batch";
  model_.Release();
  EXPECT_TRUE(alive.Await().ok());
}

TEST_F(InferenceStopTest, CancelledRequestLeavesTheQueueAtOnceWhileTheWorkerIsBusy) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  PendingInference first(*runner, OneRow(1));
  PendingInference second(*runner, OneRow(2));
  first.stop().RequestStop(StopReason::kCancelled);
  ASSERT_TRUE(first.ended());
  EXPECT_EQ(first.thread(), std::this_thread::get_id());
  EXPECT_EQ(first.AwaitStatus().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(first.AwaitStatus().message(), "the caller went away; the request was in the queue");
  EXPECT_EQ(runner->queued(), 1);
  EXPECT_EQ(observer_.queued(), 1);
  EXPECT_FALSE(second.ended());
  model_.Release();
  EXPECT_TRUE(second.Await().ok());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1}));
}

TEST_F(InferenceStopTest, CancelledInputsAreFreedAtOnceWhileTheWorkerIsBusy) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  auto memory = std::make_shared<float>(1.0F);
  const std::weak_ptr<float> watched = memory;
  PendingInference call(*runner, FloatRequest(Tensor(DType::kFp32, {1, 1}, memory.get(), memory)));
  memory.reset();
  EXPECT_FALSE(watched.expired());
  call.stop().RequestStop(StopReason::kCancelled);
  EXPECT_TRUE(watched.expired());
}

TEST_F(InferenceStopTest, CancelWhileItRunsIsAnsweredAtOnceAndTheBatchKeepsTheInputs) {
  const auto runner = MakeRunner();
  model_.Block();
  auto memory = std::make_shared<std::vector<float>>(1024, 1.0F);
  const std::weak_ptr<std::vector<float>> watched = memory;
  PendingInference call(*runner, FloatRequest(Tensor(DType::kFp32, {1, 1024}, memory->data(), memory)));
  memory.reset();
  model_.AwaitRuns(1);
  call.stop().RequestStop(StopReason::kCancelled);
  ASSERT_TRUE(call.ended());
  EXPECT_EQ(call.AwaitStatus().message(), "the caller went away; the request was in the batch");
  EXPECT_FALSE(watched.expired()) << "the model still reads the inputs";
  EXPECT_EQ(observer_.running(), 1);
  model_.Release();
  pool_.Stop();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(call.ends(), 1);
}

TEST_F(InferenceStopTest, CancelOfOneMemberLeavesTheRestOfTheBatchAlone) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  const PendingInference before(*runner, OneRow(1));
  PendingInference cancelled(*runner, OneRow(2));
  const PendingInference after(*runner, OneRow(3));
  model_.ReleaseOne();
  model_.AwaitRuns(2);
  cancelled.stop().RequestStop(StopReason::kDeadline);
  EXPECT_EQ(cancelled.AwaitStatus().message(), "the deadline passed in the batch");
  model_.Release();
  EXPECT_EQ(Values(before.Await()->outputs[0]), std::vector<float>{1});
  EXPECT_EQ(Values(after.Await()->outputs[0]), std::vector<float>{3});
}

TEST_F(InferenceStopTest, RequestThatWasStoppedBeforeItCameIsNotQueued) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  StopSource stop;
  stop.RequestStop(StopReason::kDraining);
  absl::Status ended;
  const auto infer = [](ModelRunner& to, StopSource& stopped, absl::Status& status) -> Task<> {
    ModelRunner::Inference inference = to.Infer(OneRow(1), stopped);
    const absl::StatusOr<InferenceResult> result = co_await inference;
    status = result.status();
  };
  Detach(infer(*runner, stop, ended));
  EXPECT_EQ(ended.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(runner->queued(), 0);
}

// Between the registration with the stop source and the queue there is a gap. A stop in that gap must not leave the
// request in the queue, where it would take room and be computed for nobody.
TEST_F(InferenceStopTest, StopThatRacesWithTheArrivalLeavesNothingInTheQueue) {
  constexpr int kRounds = 3000;
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<StopSource>> stops;
  for (int i = 0; i < kRounds; ++i) stops.push_back(std::make_unique<StopSource>());
  std::atomic<int> ended{0};
  const auto infer = [](ModelRunner& to, StopSource& stop, std::atomic<int>& count) -> Task<> {
    ModelRunner::Inference inference = to.Infer(OneRow(1), stop);
    const absl::StatusOr<InferenceResult> result = co_await inference;
    if (absl::IsCancelled(result.status())) ++count;
  };
  std::barrier round(2);
  std::jthread stopper([&] {
    for (int i = 0; i < kRounds; ++i) {
      round.arrive_and_wait();
      stops[i]->RequestStop(StopReason::kCancelled);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    round.arrive_and_wait();
    Detach(infer(*runner, *stops[i], ended));
  }
  stopper.join();
  EXPECT_EQ(ended, kRounds);
  EXPECT_EQ(runner->queued(), 0);
  EXPECT_EQ(observer_.queued(), 0);
}

}  // namespace
}  // namespace predictd
