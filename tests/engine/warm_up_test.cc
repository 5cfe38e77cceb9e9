#include "server/engine/warm_up.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

std::vector<int64_t> PlannedRows(const Signature& signature) {
  std::vector<int64_t> rows;
  for (const WarmUpBatch& batch : PlanWarmUp(signature)) rows.push_back(batch.rows);
  return rows;
}

// Inputs: x FP32[-1,-1] and z FP32[-1,-1], padded separately, with a mask of x between them. Output: y FP32[-1,-1].
Signature PaddedSignature(std::vector<int64_t> x, std::vector<int64_t> z, int64_t max_batch_size) {
  Signature signature = FloatSignature(max_batch_size);
  signature.inputs.push_back({"z", DType::kFp32, {-1, -1}});
  signature.padding.lengths = {{0, "x", 1, std::move(x)}, {1, "z", 1, std::move(z)}};
  signature.padding.inputs = {{0, 1, 0}, {1, 1, 1}};
  signature.padding.masks = {{1, 0, DType::kInt64}};
  return signature;
}

TEST(PlanWarmUpTest, HasEveryPowerOfTwoAndTheLargestFromSmallToLarge) {
  EXPECT_EQ(PlannedRows(FloatSignature(/*max_batch_size=*/1)), (std::vector<int64_t>{1}));
  EXPECT_EQ(PlannedRows(FloatSignature(/*max_batch_size=*/2)), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(PlannedRows(FloatSignature(/*max_batch_size=*/16)), (std::vector<int64_t>{1, 2, 4, 8, 16}));
  EXPECT_EQ(PlannedRows(FloatSignature(/*max_batch_size=*/17)), (std::vector<int64_t>{1, 2, 4, 8, 16, 17}));
}

// Each row has 2^25 elements, and a batch at most 2^26.
TEST(PlanWarmUpTest, BatchOfHugeInputsIsSmallerThanTheLargest) {
  const TensorSpec huge = {"x", DType::kBool, {-1, (int64_t{1} << 25) - 1}};
  EXPECT_EQ(PlannedRows({{huge}, {huge}, /*batched=*/true, /*max_batch_size=*/64}), (std::vector<int64_t>{1, 2}));
}

TEST(PlanWarmUpTest, HasEverySizeOfEveryLength) {
  const std::vector<WarmUpBatch> expected = {{1, {16, 8}},       {1, {32, 8}}, {2, {16, 8}, true},
                                             {2, {32, 8}, true}, {4, {16, 8}}, {4, {32, 8}, false, true}};
  EXPECT_EQ(PlanWarmUp(PaddedSignature({16, 32}, {8}, /*max_batch_size=*/4)), expected);
}

TEST(PlanWarmUpTest, IsBoundedAndKeepsTheLargest) {
  std::vector<int64_t> buckets(64);
  std::iota(buckets.begin(), buckets.end(), 1);
  const std::vector<WarmUpBatch> plan = PlanWarmUp(PaddedSignature(buckets, {1}, /*max_batch_size=*/1 << 10));
  EXPECT_EQ(plan.size(), 64U);
  EXPECT_EQ(plan.back(), (WarmUpBatch{1 << 10, {64, 1}, /*optional=*/false, /*largest=*/true}));
}

// A model that needs a millisecond per row.
class WarmUpTest : public RunnerTest {
 protected:
  WarmUpTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) {
          clock_.Advance(std::chrono::milliseconds(inputs[0].shape()[0]));
          return FakeModel::Echo(inputs);
        }) {}
};

TEST_F(WarmUpTest, RunsEachBatchAsOftenAsItIsTold) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/4));
  EXPECT_EQ(runner->WarmUp({.rounds = 2}).status(), absl::OkStatus());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1, 2, 2, 4, 4}));
}

TEST(CheapWarmUpTest, RunsEachBatchThreeTimes) {
  FakeModel model;
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  EXPECT_EQ(WarmUp(*made, FloatSignature(/*max_batch_size=*/2), {.rounds = 1}, clock, cost).status(), absl::OkStatus());
  EXPECT_EQ(model.batch_rows(), (std::vector<int64_t>{1, 1, 1, 2, 2, 2}));
}

TEST_F(WarmUpTest, SaysWhatTheLargestBatchTook) {
  EXPECT_EQ(MakeRunner(FloatSignature(/*max_batch_size=*/4))->WarmUp({})->largest, std::chrono::milliseconds(4));
}

TEST_F(WarmUpTest, StopsBetweenTwoRuns) {
  std::atomic<bool> stopping{false};
  FakeModel model([&](absl::Span<const Tensor> inputs) {
    if (inputs[0].shape()[0] == 2) stopping = true;
    return FakeModel::Echo(inputs);
  });
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  const WarmUpOptions options = {.rounds = 3, .stopping = &stopping};
  EXPECT_TRUE(absl::IsCancelled(WarmUp(*made, FloatSignature(), options, clock_, cost).status()));
  EXPECT_EQ(model.batch_rows(), (std::vector<int64_t>{1, 1, 1, 2}));
}

// A model that needs a second per row.
class SlowWarmUpTest : public RunnerTest {
 protected:
  SlowWarmUpTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) {
          clock_.Advance(std::chrono::seconds(inputs[0].shape()[0]));
          return FakeModel::Echo(inputs);
        }) {}
};

TEST_F(SlowWarmUpTest, LeavesOutOptionalBatchesForWhichThereIsNoTime) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/16));
  const WarmUpOptions options = {.rounds = 1, .budget = std::chrono::seconds(10), .longest = std::chrono::seconds(30)};
  EXPECT_EQ(runner->WarmUp(options)->left_out, 0);
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 2, 4, 16}))
      << "8 rows would have been through after 15 seconds";
}

TEST_F(SlowWarmUpTest, RunsTheLargestOnceIfThereIsNoTimeForMore) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/16));
  const WarmUpOptions options = {.rounds = 3, .budget = std::chrono::seconds(5), .longest = std::chrono::seconds(30)};
  EXPECT_EQ(runner->WarmUp(options)->left_out, 0);
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1, 1, 16}));
}

TEST_F(SlowWarmUpTest, LeavesOutTheLargestIfItWouldTakeFarTooLong) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/64));
  EXPECT_EQ(runner->WarmUp({.rounds = 1})->left_out, 1);
  EXPECT_EQ(runner->WarmUp({.rounds = 1})->largest, std::nullopt);
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 2, 1, 2}))
      << "5 seconds for what is optional, 20 for the rest";
}

TEST_F(SlowWarmUpTest, TeachesWhatABatchCosts) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/16));
  EXPECT_EQ(runner->StepCost(), Duration::max());
  EXPECT_EQ(runner->WarmUp({.rounds = 1}).status(), absl::OkStatus());
  EXPECT_EQ(runner->StepCost(), std::chrono::seconds(1));
}

TEST_F(WarmUpTest, IsNotReportedToTheObserver) {
  const auto runner = MakeRunner();
  EXPECT_EQ(runner->WarmUp({.rounds = 1}).status(), absl::OkStatus());
  EXPECT_EQ(observer_.batches(), 0);
}

// Inputs of every kind: open extents are 1, and elements are zeros, the least of their range, or empty strings.
TEST(WarmUpInputsTest, AreZerosOfTheSignaturesShapes) {
  std::vector<Tensor> seen;
  FakeModel model([&seen](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    seen.assign(inputs.begin(), inputs.end());
    return std::vector<Tensor>{Floats({inputs[0].shape()[0]}, std::vector<float>(inputs[0].shape()[0]))};
  });
  Signature signature;
  signature.inputs = {{"floats", DType::kFp32, {-1, 3, -1}},
                      {"bools", DType::kBool, {-1}},
                      {"text", DType::kBytes, {-1, 2}},
                      {"ranged", DType::kInt16, {-1}}};
  // A model may fail for values outside the range.
  signature.inputs[3].range =
      ValueRange{*ToElement(DType::kInt16, int64_t{300}), *ToElement(DType::kInt16, int64_t{400})};
  signature.outputs = {{"y", DType::kFp32, {-1}}};
  signature.max_batch_size = 2;
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  const auto runner = std::make_shared<ModelRunner>(model.Make(), signature, ModelRunner::Options{}, pool, clock);
  EXPECT_EQ(runner->WarmUp({.rounds = 1}).status(), absl::OkStatus());
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(FindOutside(seen[3], *signature.inputs[3].range), std::nullopt);
  EXPECT_EQ(seen[0].shape(), (Shape{2, 3, 1}));
  EXPECT_EQ(Values(seen[0]), std::vector<float>(6, 0.0F));
  EXPECT_EQ(seen[1].dtype(), DType::kBool);
  EXPECT_EQ(seen[1].data()[1], std::byte{0});
  EXPECT_EQ(seen[2].shape(), (Shape{2, 2}));
  EXPECT_EQ(seen[2].strings(), absl::MakeConstSpan(std::vector<std::string>(4)));
}

TEST(WarmUpInputsTest, AreWhatTheConfigurationSays) {
  std::vector<Tensor> seen;
  FakeModel model([&seen](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    seen.assign(inputs.begin(), inputs.end());
    return std::vector<Tensor>{Floats({inputs[0].shape()[0]}, std::vector<float>(inputs[0].shape()[0]))};
  });
  Signature signature;
  signature.inputs = {{"floats", DType::kFp32, {-1, -1}}, {"text", DType::kBytes, {-1}}};
  signature.inputs[0].warmup = {.shape = {-1, 3},
                                .elements = {*ToElement(DType::kFp32, 1.5), *ToElement(DType::kFp32, -2.0)}};
  signature.inputs[1].warmup.strings = {"one", "two", "three"};
  signature.outputs = {{"y", DType::kFp32, {-1}}};
  signature.max_batch_size = 2;
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  EXPECT_EQ(WarmUp(*made, signature, {.rounds = 1}, clock, cost).status(), absl::OkStatus());
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].shape(), (Shape{2, 3}));
  EXPECT_EQ(Values(seen[0]), (std::vector<float>{1.5, -2, 1.5, -2, 1.5, -2}));
  EXPECT_EQ(seen[1].strings(), absl::MakeConstSpan(std::vector<std::string>{"one", "two"}));
}

// The model needs an extent of 5, for instance for a kernel of that size.
TEST(WarmUpInputsTest, OpenExtentsGrowUntilTheModelTakesThem) {
  FakeModel model([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    if (inputs[0].shape()[1] < 5) return absl::InternalError("too small for the kernel");
    return FakeModel::Echo(inputs);
  });
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  const absl::StatusOr<WarmUpReport> report =
      WarmUp(*made, FloatSignature(/*max_batch_size=*/2), {.rounds = 1}, clock, cost);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->open_extent, 16);
  EXPECT_EQ(model.batch_rows(), (std::vector<int64_t>{1, 1, 1, 1, 2, 2, 2}));
}

TEST(WarmUpInputsTest, IfNoExtentHelpsTheFirstErrorIsTold) {
  FakeModel model([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    return absl::InternalError("fails at " + std::to_string(inputs[0].shape()[1]));
  });
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  EXPECT_EQ(WarmUp(*made, FloatSignature(), {}, clock, cost).status(), absl::InternalError("fails at 1"));
  EXPECT_EQ(model.batch_rows().size(), 4U);
}

// The model also gets the mask that callers do not send. Nothing is padded, so it is all ones.
TEST(WarmUpInputsTest, HaveTheLengthsOfTheBatchAndItsMask) {
  std::vector<std::vector<Shape>> seen;
  FakeModel model([&seen](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    std::vector<Shape>& shapes = seen.emplace_back();
    for (const Tensor& input : inputs) shapes.push_back(input.shape());
    for (int64_t i = 0; i < inputs[1].elements(); ++i) {
      if (reinterpret_cast<const int64_t*>(inputs[1].data())[i] != 1) return absl::InternalError("not all ones");
    }
    return std::vector<Tensor>{inputs[0]};
  });
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  EXPECT_EQ(WarmUp(*made, PaddedSignature({16}, {8}, /*max_batch_size=*/2), {.rounds = 1}, clock, cost).status(),
            absl::OkStatus());
  ASSERT_EQ(seen.size(), 6U) << "three times each";
  EXPECT_EQ(seen.front(), (std::vector<Shape>{{1, 16}, {1, 16}, {1, 8}}));
  EXPECT_EQ(seen.back(), (std::vector<Shape>{{2, 16}, {2, 16}, {2, 8}}));
}

TEST(WarmUpInputsTest, ModelWithoutBatchesGetsItsShapeAsItIs) {
  std::vector<Shape> seen;
  FakeModel model([&seen](absl::Span<const Tensor> inputs) {
    seen.push_back(inputs[0].shape());
    return FakeModel::Echo(inputs);
  });
  const Signature signature = {
      {{"x", DType::kFp32, {4, -1}}}, {{"y", DType::kFp32, {4, -1}}}, /*batched=*/false, /*max_batch_size=*/1};
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  const auto runner = std::make_shared<ModelRunner>(model.Make(), signature, ModelRunner::Options{}, pool, clock);
  EXPECT_EQ(runner->WarmUp({.rounds = 1}).status(), absl::OkStatus());
  EXPECT_EQ(seen, std::vector<Shape>(3, Shape{4, 1}));
}

class FailingWarmUpTest : public RunnerTest {
 protected:
  FailingWarmUpTest()
      : RunnerTest([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
          if (inputs[0].shape()[0] == 2) return absl::InternalError("no pairs");
          return FakeModel::Echo(inputs);
        }) {}
};

TEST_F(FailingWarmUpTest, ReturnsWhatTheModelReturned) {
  EXPECT_EQ(MakeRunner(FloatSignature(/*max_batch_size=*/2))->WarmUp({}).status(), absl::InternalError("no pairs"));
}

TEST(WrongWarmUpTest, SaysThatOutputsAreNotThoseOfTheSignature) {
  FakeModel model([](absl::Span<const Tensor>) { return std::vector<Tensor>{}; });
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  EXPECT_EQ(WarmUp(*made, FloatSignature(), {}, clock, cost).status(),
            absl::InternalError("the model returned 0 outputs, its signature has 1"));
}

}  // namespace
}  // namespace predictd
