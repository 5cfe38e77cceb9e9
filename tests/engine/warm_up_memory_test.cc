// Tests the warm-up when memory is short, and what the runner makes of its report.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "server/engine/warm_up.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

constexpr int64_t kRowBytes = 1000;

// Reports the memory that a model claims to take.
class FakeGauge final : public MemoryGauge {
 public:
  int64_t Left() override { return left; }
  void Begin() override { peak = 0; }
  int64_t Peak() override { return peak; }

  int64_t left = 0;
  int64_t peak = 0;
};

// A model that takes a thousand bytes per row, up to a limit.
class WarmUpMemoryTest : public RunnerTest {
 protected:
  WarmUpMemoryTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
          const int64_t bytes = inputs[0].shape()[0] * kRowBytes;
          if (bytes > memory_ && throws_) throw std::bad_alloc();
          if (bytes > memory_) return failure_;
          gauge_.peak = std::max(gauge_.peak, bytes);
          return FakeModel::Echo(inputs);
        }) {}

  WarmUpOptions Options(int concurrency = 1) {
    return {.rounds = 3, .memory = &gauge_, .memory_left = gauge_.left, .concurrency = concurrency};
  }

  FakeGauge gauge_;
  int64_t memory_ = 1'000'000;
  bool throws_ = false;
  absl::Status failure_ = absl::ResourceExhaustedError("no memory");
};

TEST_F(WarmUpMemoryTest, SaysWhatTheLargestBatchTook) {
  gauge_.left = 1'000'000;
  const absl::StatusOr<WarmUpReport> report = MakeRunner()->WarmUp(Options());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->peak_bytes, 64 * kRowBytes);
  EXPECT_EQ(report->most_rows, 64);
  EXPECT_EQ(report->shortage, "");
}

TEST_F(WarmUpMemoryTest, BatchThatWouldNotFitIsNotRun) {
  // An eighth is kept spare, so 17 rows fit.
  gauge_.left = 20 * kRowBytes;
  const auto runner = MakeRunner();
  const absl::StatusOr<WarmUpReport> report = runner->WarmUp(Options());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16}));
  EXPECT_EQ(report->most_rows, 16);
  EXPECT_EQ(report->shortage, "32 rows: a run takes about 1 MiB beside the model, and 1 MiB are left");
  EXPECT_EQ(runner->signature().max_batch_size, 16);
}

TEST_F(WarmUpMemoryTest, RunsThatHappenAtOnceMustFitTogether) {
  gauge_.left = 20 * kRowBytes;
  EXPECT_EQ(MakeRunner()->WarmUp(Options(/*concurrency=*/4))->most_rows, 4);
}

TEST_F(WarmUpMemoryTest, BatchThatFindsNoMemoryMakesBatchesSmaller) {
  memory_ = 10 * kRowBytes;
  for (const bool throws : {false, true}) {
    throws_ = throws;
    const auto runner = MakeRunner();
    const absl::StatusOr<WarmUpReport> report = runner->WarmUp({});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->most_rows, 8);
    EXPECT_EQ(runner->signature().max_batch_size, 8);
    EXPECT_EQ(runner->WarmUp({})->most_rows, 8) << "on the next worker";
  }
}

// Compiled code fails like this: it does not say why.
TEST_F(WarmUpMemoryTest, FailureOfABatchThatNeedsMuchOfWhatIsLeftIsTakenForShortage) {
  memory_ = 10 * kRowBytes;
  failure_ = absl::InternalError("a call failed");
  gauge_.left = 40 * kRowBytes;
  EXPECT_EQ(MakeRunner()->WarmUp(Options())->most_rows, 8);
  gauge_.left = 4000 * kRowBytes;
  EXPECT_EQ(MakeRunner()->WarmUp(Options()).status(), failure_);
}

TEST_F(WarmUpMemoryTest, SizeThatIsNoPowerOfTwoBecomesTheOneBelow) {
  memory_ = 16 * kRowBytes;
  EXPECT_EQ(MakeRunner(FloatSignature(/*max_batch_size=*/17))->WarmUp({})->most_rows, 16);
}

TEST_F(WarmUpMemoryTest, ModelWhoseSingleRowHasNoMemoryFails) {
  memory_ = kRowBytes / 2;
  EXPECT_EQ(MakeRunner()->WarmUp({}).status(), absl::ResourceExhaustedError("no memory"));
}

TEST_F(WarmUpMemoryTest, BatchesThatFormLaterAreNoLarger) {
  memory_ = 4 * kRowBytes;
  const auto runner = MakeRunner();
  ASSERT_TRUE(runner->WarmUp({}).ok());
  const size_t before = model_.batch_rows().size();
  const auto occupant = OccupyWorker(*runner);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 12; ++i) calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(1)));
  model_.Release();
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  for (size_t i = before; i < model_.batch_rows().size(); ++i) EXPECT_LE(model_.batch_rows()[i], 4);
  EXPECT_TRUE(occupant->Await().ok());
}

}  // namespace
}  // namespace predictd
