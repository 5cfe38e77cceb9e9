#include "server/engine/warm_up_inputs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "server/engine/warm_up.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

WarmUpInput ArrayInput(Shape shape, const std::vector<float>& values, Shape open) {
  return {.shape = std::move(open), .array = Floats(std::move(shape), values)};
}

std::vector<int64_t> IntegersOf(const Tensor& tensor) {
  std::vector<int64_t> values(tensor.elements());
  std::memcpy(values.data(), tensor.data(), tensor.byte_size());
  return values;
}

TEST(WarmUpInputsTest, RowsOfAnArrayAreRepeated) {
  Signature signature = FloatSignature();
  signature.warmup_samples = {{ArrayInput({2, 3}, {1, 2, 3, 4, 5, 6}, {-1, 3})}};
  const WarmUpInputs inputs(signature, 1);
  EXPECT_FALSE(inputs.HasOpenExtent({}));
  EXPECT_EQ(inputs.Make(0, 0, 1, {}).shape(), (Shape{1, 3}));
  EXPECT_EQ(Values(inputs.Make(0, 0, 1, {})), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(Values(inputs.Make(0, 0, 1, {}, /*first=*/1)), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(Values(inputs.Make(0, 0, 5, {})), (std::vector<float>{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3}));
}

TEST(WarmUpInputsTest, ArrayIsRepeatedOrCutAlongItsPaddedDimension) {
  Signature signature = FloatSignature();
  signature.inputs[0].shape = {-1, 2, -1, 2};
  signature.padding.lengths = {{0, "x", 2, {2, 5}}};
  signature.padding.inputs = {{0, 2, 0}};
  std::vector<float> values(12);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  signature.warmup_samples = {{ArrayInput({1, 2, 3, 2}, values, {-1, 2, -1, 2})}};
  const WarmUpInputs inputs(signature, 1);
  EXPECT_EQ(Values(inputs.Make(0, 0, 1, {2})), (std::vector<float>{0, 1, 2, 3, 6, 7, 8, 9}));
  const Tensor longer = inputs.Make(0, 0, 2, {5});
  EXPECT_EQ(longer.shape(), (Shape{2, 2, 5, 2}));
  const std::vector<float> row = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 6, 7, 8, 9};
  std::vector<float> both = row;
  both.insert(both.end(), row.begin(), row.end());
  EXPECT_EQ(Values(longer), both);
}

TEST(WarmUpInputsTest, ArrayOfAModelWithoutBatchesIsUsedAsItIs) {
  Signature signature = FloatSignature();
  signature.batched = false;
  signature.max_batch_size = 1;
  signature.inputs[0].shape = {-1, 2};
  signature.warmup_samples = {{ArrayInput({2, 2}, {1, 2, 3, 4}, {2, 2})}};
  EXPECT_EQ(Values(WarmUpInputs(signature, 1).Make(0, 0, 1, {}, /*first=*/1)), (std::vector<float>{1, 2, 3, 4}));
  signature.inputs[0].shape = {};
  signature.warmup_samples = {{ArrayInput({}, {7}, {})}};
  EXPECT_EQ(Values(WarmUpInputs(signature, 1).Make(0, 0, 1, {})), (std::vector<float>{7}));
}

TEST(WarmUpInputsTest, RandomElementsAreInRangeAndTheSameEachTime) {
  Signature signature;
  signature.inputs = {{"tokens", DType::kInt64, {-1, 100}}, {"image", DType::kFp32, {-1, 100}}};
  signature.warmup_samples = {
      {{.random = ValueRange{*ToElement(DType::kInt64, int64_t{-3}), *ToElement(DType::kInt64, int64_t{3})}},
       {.random = ValueRange{*ToElement(DType::kFp32, -0.5), *ToElement(DType::kFp32, 0.5)}}}};
  const WarmUpInputs inputs(signature, 1);
  const std::vector<int64_t> tokens = IntegersOf(inputs.Make(0, 0, 4, {}));
  EXPECT_EQ(std::set<int64_t>(tokens.begin(), tokens.end()), (std::set<int64_t>{-3, -2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(IntegersOf(inputs.Make(0, 0, 4, {})), tokens);
  std::set<float> different;
  for (const float value : Values(inputs.Make(0, 1, 4, {}))) {
    EXPECT_GE(value, -0.5F);
    EXPECT_LE(value, 0.5F);
    different.insert(value);
  }
  EXPECT_GT(different.size(), 300U);
}

TEST(WarmUpInputsTest, EveryTypeHasRandomElements) {
  for (const DType dtype :
       {DType::kUint8, DType::kUint64, DType::kInt8, DType::kInt64, DType::kFp16, DType::kBf16, DType::kFp64}) {
    Signature signature;
    signature.inputs = {{"x", dtype, {-1, 1000}}};
    const ValueRange range = {*ToElement(dtype, int64_t{1}), *ToElement(dtype, int64_t{100})};
    signature.warmup_samples = {{{.random = range}}};
    const Tensor drawn = WarmUpInputs(signature, 1).Make(0, 0, 100, {});
    EXPECT_EQ(drawn.elements(), 100'000);
    EXPECT_EQ(FindOutside(drawn, range), std::nullopt) << DTypeName(dtype);
    EXPECT_NE(std::memcmp(drawn.data(), drawn.data() + 10 * ByteWidth(dtype), 10 * ByteWidth(dtype)), 0);
  }
}

TEST(WarmUpInputsTest, LargestNumbersAreDrawnWithoutOverflow) {
  Signature signature;
  signature.inputs = {{"x", DType::kFp64, {-1, 100}}, {"n", DType::kInt64, {-1, 100}}};
  const double most = std::numeric_limits<double>::max();
  const int64_t least = std::numeric_limits<int64_t>::min();
  const ValueRange doubles = {*ToElement(DType::kFp64, -most), *ToElement(DType::kFp64, most)};
  const ValueRange integers = {*ToElement(DType::kInt64, least), *ToElement(DType::kInt64, ~least)};
  signature.warmup_samples = {{{.random = doubles}, {.random = integers}}};
  const WarmUpInputs inputs(signature, 1);
  EXPECT_EQ(FindOutside(inputs.Make(0, 0, 1, {}), doubles), std::nullopt);
  const std::vector<int64_t> drawn = IntegersOf(inputs.Make(0, 1, 1, {}));
  EXPECT_EQ(std::set<int64_t>(drawn.begin(), drawn.end()).size(), 100U);
}

// What the model saw of each batch: its rows and its extent.
std::vector<Shape> ShapesOfWarmUp(const Signature& signature, absl::Status* status = nullptr,
                                  FakeModel::Compute compute = FakeModel::Echo) {
  std::vector<Shape> seen;
  FakeModel model([&](absl::Span<const Tensor> inputs) {
    if (seen.empty() || seen.back() != inputs[0].shape()) seen.push_back(inputs[0].shape());
    return compute(inputs);
  });
  const ManualClock clock;
  BatchCost cost;
  const std::unique_ptr<Model> made = model.Make();
  const absl::StatusOr<WarmUpReport> report = WarmUp(*made, signature, {.rounds = 1}, clock, cost);
  EXPECT_TRUE(report.ok() || status != nullptr) << report.status();
  if (status != nullptr) *status = report.status();
  return seen;
}

TEST(WarmUpSamplesTest, EachRunsInBatchesOfEverySize) {
  Signature signature = FloatSignature(/*max_batch_size=*/4);
  signature.warmup_samples = {{{.shape = {-1, 3}}}, {{.shape = {-1, 5}}}};
  EXPECT_EQ(ShapesOfWarmUp(signature), (std::vector<Shape>{{1, 3}, {1, 5}, {2, 3}, {2, 5}, {4, 3}, {4, 5}}));
  const std::vector<WarmUpBatch> plan = PlanWarmUp(signature);
  ASSERT_EQ(plan.size(), 6U);
  for (size_t i = 0; i < plan.size(); ++i) {
    EXPECT_EQ(plan[i].sample, i % 2);
    EXPECT_EQ(plan[i].largest, i == 5) << "the one with the most elements";
  }
}

TEST(WarmUpSamplesTest, ErrorNamesTheSample) {
  Signature signature = FloatSignature(/*max_batch_size=*/1);
  signature.warmup_samples = {{{.shape = {-1, 3}}}, {{.shape = {-1, 5}}}};
  absl::Status status;
  ShapesOfWarmUp(signature, &status, [](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    if (inputs[0].shape()[1] == 5) return absl::InternalError("no fives");
    return FakeModel::Echo(inputs);
  });
  EXPECT_EQ(status, absl::InternalError("warmup_samples[1]: no fives"));
}

// Compiled code reads beyond its input where an extent is not within its limits.
TEST(WarmUpSamplesTest, WhatTheModelDoesNotTakeIsNotRun) {
  Signature signature = FloatSignature(/*max_batch_size=*/1);
  signature.limits.extents = {{.input = 0, .dimension = 1, .least = 2, .most = 4, .smallest = 2, .name = "x"}};
  signature.warmup_samples = {{{.shape = {-1, 5}}}};
  absl::Status status;
  EXPECT_TRUE(ShapesOfWarmUp(signature, &status).empty());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StartsWith(status.message(), "warmup_samples[0]: input 'x': ")) << status;
}

}  // namespace
}  // namespace predictd
