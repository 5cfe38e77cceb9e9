#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/runner_test.h"

namespace predictd {
namespace {

using WarmUpTest = RunnerTest;

TEST_F(WarmUpTest, RunsTheSmallestAndTheLargestBatch) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/16));
  EXPECT_EQ(runner->WarmUp(/*rounds=*/2), absl::OkStatus());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1, 16, 16}));
}

TEST_F(WarmUpTest, RunsASingleSizeIfThereIsOnlyOne) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/1));
  EXPECT_EQ(runner->WarmUp(/*rounds=*/3), absl::OkStatus());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 1, 1}));
}

// 2^25 elements for each row, and at most 2^26 for a batch.
TEST_F(WarmUpTest, BatchOfHugeInputsIsSmallerThanTheLargest) {
  const TensorSpec huge = {"x", DType::kBool, {-1, int64_t{1} << 25}};
  const auto runner = MakeRunner({{huge}, {huge}, /*batched=*/true, /*max_batch_size=*/64});
  EXPECT_EQ(runner->WarmUp(/*rounds=*/1), absl::OkStatus());
  EXPECT_EQ(model_.batch_rows(), (std::vector<int64_t>{1, 2}));
}

TEST_F(WarmUpTest, IsNotReportedToTheObserver) {
  const auto runner = MakeRunner();
  EXPECT_EQ(runner->WarmUp(/*rounds=*/1), absl::OkStatus());
  EXPECT_EQ(observer_.batches(), 0);
  EXPECT_EQ(runner->StepCost(), Duration::max());
}

// Inputs of every kind; open extents are 1, elements are zeros or empty strings.
TEST(WarmUpInputsTest, AreZerosOfTheSignaturesShapes) {
  std::vector<Tensor> seen;
  FakeModel model([&seen](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    seen.assign(inputs.begin(), inputs.end());
    return std::vector<Tensor>{Floats({inputs[0].shape()[0]}, std::vector<float>(inputs[0].shape()[0]))};
  });
  Signature signature;
  signature.inputs = {
      {"floats", DType::kFp32, {-1, 3, -1}}, {"bools", DType::kBool, {-1}}, {"text", DType::kBytes, {-1, 2}}};
  signature.outputs = {{"y", DType::kFp32, {-1}}};
  signature.max_batch_size = 2;
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  const auto runner = std::make_shared<ModelRunner>(model.Make(), signature, ModelRunner::Options{}, pool, clock);
  EXPECT_EQ(runner->WarmUp(/*rounds=*/1), absl::OkStatus());
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].shape(), (Shape{2, 3, 1}));
  EXPECT_EQ(Values(seen[0]), std::vector<float>(6, 0.0F));
  EXPECT_EQ(seen[1].dtype(), DType::kBool);
  EXPECT_EQ(seen[1].data()[1], std::byte{0});
  EXPECT_EQ(seen[2].shape(), (Shape{2, 2}));
  EXPECT_EQ(seen[2].strings(), absl::MakeConstSpan(std::vector<std::string>(4)));
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
  EXPECT_EQ(runner->WarmUp(/*rounds=*/1), absl::OkStatus());
  EXPECT_EQ(seen, std::vector<Shape>{(Shape{4, 1})});
}

class FailingWarmUpTest : public RunnerTest {
 protected:
  FailingWarmUpTest()
      : RunnerTest([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
          if (inputs[0].shape()[0] == 1) return FakeModel::Echo(inputs);
          if (inputs[0].shape()[0] == 2) return absl::InternalError("no pairs");
          return std::vector<Tensor>{};
        }) {}
};

TEST_F(FailingWarmUpTest, ReturnsWhatTheModelReturned) {
  EXPECT_EQ(MakeRunner(FloatSignature(/*max_batch_size=*/2))->WarmUp(1), absl::InternalError("no pairs"));
}

TEST_F(FailingWarmUpTest, SaysThatOutputsAreNotThoseOfTheSignature) {
  EXPECT_EQ(MakeRunner(FloatSignature(/*max_batch_size=*/3))->WarmUp(1),
            absl::InternalError("the model returned 0 outputs, its signature has 1"));
}

}  // namespace
}  // namespace predictd
