#include "server/engine/batch.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

std::shared_ptr<Job> MakeJob(std::vector<Tensor> inputs) {
  InferenceRequest request;
  request.rows = inputs[0].shape().empty() ? 1 : inputs[0].shape()[0];
  request.inputs = std::move(inputs);
  return std::make_shared<Job>(std::move(request));
}

// An FP32 tensor that starts `offset` bytes after a well aligned address.
Tensor Misaligned(Shape shape, const std::vector<float>& values, size_t offset) {
  std::byte* memory = nullptr;
  const Tensor backing =
      Tensor::Allocate(DType::kUint8, {static_cast<int64_t>(offset + values.size() * sizeof(float))}, &memory);
  std::memcpy(memory + offset, values.data(), values.size() * sizeof(float));
  return Tensor(DType::kFp32, std::move(shape), memory + offset, std::make_shared<Tensor>(backing));
}

// Stacks without padding. The tensors outlive the buffers.
std::vector<Tensor> Stack(const std::vector<std::shared_ptr<Job>>& jobs) {
  BatchBuffers buffers;
  return StackInputs(jobs, Padding(), buffers);
}

bool IsAligned16(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.data()) % 16 == 0;
}

TEST(StackInputsTest, SingleAlignedInputIsPassedOnWithoutACopy) {
  const Tensor input = Floats({2, 2}, {1, 2, 3, 4});
  const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({input})};
  const std::vector<Tensor> stacked = Stack(jobs);
  ASSERT_EQ(stacked.size(), 1U);
  EXPECT_EQ(stacked[0].data(), input.data());
  EXPECT_EQ(stacked[0].shape(), input.shape());
}

TEST(StackInputsTest, SingleMisalignedInputIsCopiedToAnAlignedPlace) {
  for (size_t offset = 0; offset < 64; ++offset) {
    const Tensor input = Misaligned({1, 3}, {1, 2, 3}, offset);
    const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({input})};
    const std::vector<Tensor> stacked = Stack(jobs);
    EXPECT_TRUE(IsAligned16(stacked[0])) << "offset " << offset;
    EXPECT_EQ(stacked[0].data() == input.data(), offset % 16 == 0) << "offset " << offset;
    EXPECT_EQ(Values(stacked[0]), Values(input)) << "offset " << offset;
    EXPECT_EQ(stacked[0].shape(), input.shape());
  }
}

TEST(StackInputsTest, MisalignedScalarIsCopied) {
  const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({Misaligned({}, {5}, 4)})};
  const std::vector<Tensor> stacked = Stack(jobs);
  EXPECT_TRUE(IsAligned16(stacked[0]));
  EXPECT_TRUE(stacked[0].shape().empty());
  EXPECT_EQ(Values(stacked[0]), std::vector<float>{5});
}

TEST(StackInputsTest, RowsOfAllJobsFollowEachOther) {
  const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({Floats({1, 2}, {1, 2})}),
                                                  MakeJob({Floats({2, 2}, {3, 4, 5, 6})}),
                                                  MakeJob({Misaligned({1, 2}, {7, 8}, 4)})};
  const std::vector<Tensor> stacked = Stack(jobs);
  EXPECT_EQ(stacked[0].shape(), (Shape{4, 2}));
  EXPECT_EQ(Values(stacked[0]), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_TRUE(IsAligned16(stacked[0]));
}

TEST(StackInputsTest, EveryInputIsStacked) {
  const std::vector<std::shared_ptr<Job>> jobs = {
      MakeJob({Floats({1, 1}, {1}), Floats({1, 2}, {10, 11}), Strings({1}, {"a"})}),
      MakeJob({Floats({1, 1}, {2}), Floats({1, 2}, {20, 21}), Strings({1}, {"b"})})};
  const std::vector<Tensor> stacked = Stack(jobs);
  ASSERT_EQ(stacked.size(), 3U);
  EXPECT_EQ(Values(stacked[0]), (std::vector<float>{1, 2}));
  EXPECT_EQ(Values(stacked[1]), (std::vector<float>{10, 11, 20, 21}));
  EXPECT_EQ(std::vector<std::string>(stacked[2].strings().begin(), stacked[2].strings().end()),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(stacked[2].shape(), Shape{2});
}

TEST(StackInputsTest, SingleTensorOfStringsIsPassedOnWithoutACopy) {
  const Tensor input = Strings({2, 1}, {"a", "b"});
  const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({input})};
  EXPECT_EQ(Stack(jobs)[0].strings().data(), input.strings().data());
}

TEST(StackInputsTest, JobsWithoutRowsAddNothing) {
  const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({Tensor(DType::kFp32, {0, 2}, nullptr, nullptr)}),
                                                  MakeJob({Floats({1, 2}, {1, 2})}), MakeJob({Floats({0, 2}, {})})};
  const std::vector<Tensor> stacked = Stack(jobs);
  EXPECT_EQ(stacked[0].shape(), (Shape{1, 2}));
  EXPECT_EQ(Values(stacked[0]), (std::vector<float>{1, 2}));
}

TEST(StackInputsTest, StackOutlivesTheJobs) {
  std::vector<std::shared_ptr<Job>> jobs = {MakeJob({Floats({1, 1}, {1})}), MakeJob({Floats({1, 1}, {2})})};
  const std::vector<Tensor> stacked = Stack(jobs);
  jobs.clear();
  EXPECT_EQ(Values(stacked[0]), (std::vector<float>{1, 2}));
}

TEST(SliceRowsTest, SlicesShareTheMemory) {
  const std::vector<Tensor> outputs = {Floats({3, 2}, {1, 2, 3, 4, 5, 6}), Strings({3}, {"a", "b", "c"})};
  const std::vector<Tensor> slices = SliceRows(outputs, 1, 2);
  ASSERT_EQ(slices.size(), 2U);
  EXPECT_EQ(slices[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(slices[0].data(), outputs[0].data() + 2 * sizeof(float));
  EXPECT_EQ(slices[1].strings().data(), outputs[1].strings().data() + 1);
  EXPECT_EQ(slices[1].strings().size(), 2U);
}

TEST(SliceRowsTest, SliceKeepsTheWholeTensorAlive) {
  std::vector<Tensor> outputs = {Floats({2, 1}, {1, 2})};
  const std::vector<Tensor> slices = SliceRows(outputs, 1, 1);
  outputs.clear();
  EXPECT_EQ(Values(slices[0]), std::vector<float>{2});
}

TEST(SliceRowsTest, NoRowsAreAnEmptySlice) {
  const std::vector<Tensor> outputs = {Floats({2, 3}, {1, 2, 3, 4, 5, 6})};
  const std::vector<Tensor> slices = SliceRows(outputs, 2, 0);
  EXPECT_EQ(slices[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(slices[0].byte_size(), 0U);
}

TEST(KeyOfTest, IsWhatTheSignatureLeavesOpenBesideTheBatch) {
  const Signature signature = {
      {{"x", DType::kFp32, {-1, -1, 2}}, {"s", DType::kBytes, {-1, 3}}, {"z", DType::kFp32, {-1, -1}}}, {}};
  InferenceRequest request;
  request.inputs = {Floats({1, 2, 2}, {0, 0, 0, 0}), Strings({1, 3}, {"a", "b", "c"}), Floats({1, 4}, {0, 0, 0, 0})};
  EXPECT_EQ(KeyOf(request, signature), (BatchKey{2, 4}));
}

TEST(KeyOfTest, RowsDoNotCount) {
  const Signature signature = {{{"x", DType::kFp32, {-1, 1}}}, {}};
  InferenceRequest one;
  one.inputs = {Floats({1, 1}, {0})};
  InferenceRequest two;
  two.inputs = {Floats({2, 1}, {0, 0})};
  EXPECT_EQ(KeyOf(one, signature), KeyOf(two, signature));
}

TEST(KeyOfTest, ModelWithoutBatchesHasOneKey) {
  const Signature signature = {{{"x", DType::kFp32, {-1}}}, {}, /*batched=*/false, /*max_batch_size=*/1};
  InferenceRequest request;
  request.inputs = {Floats({3}, {0, 0, 0})};
  EXPECT_TRUE(KeyOf(request, signature).empty());
}

TEST(BatchKeyTest, RequestsShareABatchOnlyIfTheyLeaveOutTheSameInputs) {
  TensorSpec optional = {"mask", DType::kFp32, {-1, -1}};
  optional.optional = true;
  const Signature signature = {{{"x", DType::kFp32, {-1, 2}}, optional}, {{"y", DType::kFp32, {-1}}}};
  const Tensor x = Floats({1, 2}, {1, 2});
  const auto key = [&](const Tensor& mask) { return KeyOf(MakeJob({x, mask})->request, signature); };
  const Tensor absent = Tensor::Absent(DType::kFp32);
  EXPECT_EQ(key(absent), key(absent));
  EXPECT_EQ(key(Floats({1, 1}, {1})), key(Floats({2, 1}, {1, 2})));
  EXPECT_NE(key(absent), key(Floats({1, 1}, {1})));
}

TEST(StackInputsTest, InputThatAllLeaveOutIsLeftOut) {
  const Tensor absent = Tensor::Absent(DType::kFp32);
  const std::vector<std::shared_ptr<Job>> jobs = {MakeJob({Floats({1}, {1}), absent}),
                                                  MakeJob({Floats({1}, {2}), absent})};
  const std::vector<Tensor> stacked = Stack(jobs);
  EXPECT_EQ(Values(stacked[0]), (std::vector<float>{1, 2}));
  EXPECT_FALSE(stacked[1].present());
}

}  // namespace
}  // namespace predictd
