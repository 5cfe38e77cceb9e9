#include "server/engine/runner_statistics.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

using std::chrono::microseconds;

class RunnerStatisticsTest : public RunnerTest {
 protected:
  RunnerStatisticsTest() : RunnerTest(FailOnNegative) {}
};

TEST_F(RunnerStatisticsTest, RequestsAndBatchesAreCountedBySize) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  const PendingInference two(*runner, FloatRequest(Floats({2, 1}, {1, 2})));
  clock_.Advance(microseconds(100));
  model_.Release();
  for (const auto& call : calls) ASSERT_TRUE(call->Await().ok());
  ASSERT_TRUE(two.Await().ok());
  ASSERT_TRUE(occupant->Await().ok());

  const RunnerStatistics::Snapshot all = runner->statistics().Read();
  EXPECT_EQ(all.answered.count, 5);
  EXPECT_EQ(all.failed.count, 0);
  EXPECT_EQ(all.batches, 2);
  EXPECT_EQ(all.rows, 6);
  EXPECT_EQ(all.last, clock_.Now());
  // The occupant was in its batch when time passed, and the others waited.
  EXPECT_EQ(all.computed, microseconds(100));
  EXPECT_EQ(all.queued, microseconds(400));
  EXPECT_EQ(all.answered.time, microseconds(500));
  ASSERT_EQ(all.by_rows.size(), 2U);
  EXPECT_EQ(all.by_rows[0].rows, 1);
  EXPECT_EQ(all.by_rows[0].runs.count, 1);
  EXPECT_EQ(all.by_rows[0].runs.time, microseconds(100));
  EXPECT_EQ(all.by_rows[1].rows, 5);
  EXPECT_EQ(all.by_rows[1].runs.count, 1);
}

TEST_F(RunnerStatisticsTest, WhatFailsOrIsRefusedOrGivenUpIsNoAnswer) {
  const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/1);
  EXPECT_FALSE(PendingInference(*runner, OneRow(-1)).Await().ok());
  const auto occupant = OccupyWorker(*runner);
  PendingInference waiting(*runner, OneRow(1));
  EXPECT_EQ(PendingInference(*runner, OneRow(1)).Await().status().code(), absl::StatusCode::kResourceExhausted);
  clock_.Advance(microseconds(70));
  waiting.stop().RequestStop(StopReason::kCancelled);
  EXPECT_FALSE(waiting.Await().ok());
  const RunnerStatistics::Snapshot all = runner->statistics().Read();
  EXPECT_EQ(all.answered.count, 0);
  EXPECT_EQ(all.failed.count, 3);
  EXPECT_EQ(all.failed.time, microseconds(70)) << "of the one that waited";
  EXPECT_EQ(all.batches, 0);
  EXPECT_TRUE(all.by_rows.empty());
}

TEST_F(RunnerStatisticsTest, TheLargestBatchesAreOnlyInTheSums) {
  constexpr int64_t kLarge = RunnerStatistics::kMostRows + 1;
  RunnerStatistics statistics(/*max_rows=*/kLarge);
  for (const int64_t rows : {kLarge, kLarge - 1, int64_t{0}}) {
    statistics.OnBatch(rows, clock_.Now(), clock_.Now() + microseconds(3));
  }
  const RunnerStatistics::Snapshot all = statistics.Read();
  EXPECT_EQ(all.batches, 3);
  EXPECT_EQ(all.rows, 2 * kLarge - 1);
  ASSERT_EQ(all.by_rows.size(), 1U);
  EXPECT_EQ(all.by_rows[0].rows, RunnerStatistics::kMostRows);
  EXPECT_EQ(all.by_rows[0].runs.time, microseconds(3));
}

}  // namespace
}  // namespace predictd
