#include "server/model/padding.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

Tensor Ramp(Shape shape) {
  std::vector<float> values(*ElementCount(shape));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return Floats(std::move(shape), values);
}

TEST(PaddedLengthTest, BucketIsTheSmallestThatHoldsTheLength) {
  const PaddedLength length = {0, "x", 1, {4, 8, 100}};
  const std::vector<std::pair<int64_t, int64_t>> cases = {{0, 4},   {1, 4},    {4, 4},     {5, 8},    {8, 8},
                                                          {9, 100}, {99, 100}, {100, 100}, {101, 101}};
  for (const auto& [extent, bucket] : cases) EXPECT_EQ(length.BucketFor(extent), bucket) << extent;
}

// x [-1,-1] is padded to 4 or 8; y [-1,-1] is not padded; z [-1,2,-1] is padded like x.
Padding MakePadding() {
  Padding padding;
  padding.lengths = {{0, "x", 1, {4, 8}}};
  padding.inputs = {{0, 1, 0}, {2, 2, 0}};
  return padding;
}

struct LengthCase {
  int64_t x;
  int64_t z;
  // Each error as "input: message".
  std::vector<std::string> errors;
};

std::ostream& operator<<(std::ostream& out, const LengthCase& c) {
  return out << c.x << ' ' << c.z;
}

class CheckLengthsTest : public testing::TestWithParam<LengthCase> {};

TEST_P(CheckLengthsTest, SaysWhichInputIsWrong) {
  const std::vector<Tensor> inputs = {Ramp({1, GetParam().x}), Ramp({1, 1000}), Ramp({1, 2, GetParam().z})};
  std::vector<std::string> errors;
  for (const LengthError& error : CheckLengths(MakePadding(), inputs)) {
    errors.push_back(std::to_string(error.input) + ": " + error.message);
  }
  EXPECT_EQ(errors, GetParam().errors);
}

const LengthCase kLengthCases[] = {
    {0, 0, {}},
    {3, 3, {}},
    {8, 8, {}},
    {9, 9, {"0: expected at most 8 in dimension 1, got 9", "2: expected at most 8 in dimension 2, got 9"}},
    {3, 4, {"2: expected 3 in dimension 2 as in x, got 4"}},
    {4, 3, {"2: expected 4 in dimension 2 as in x, got 3"}},
    {4, 9, {"2: expected at most 8 in dimension 2, got 9"}},
};

INSTANTIATE_TEST_SUITE_P(Table, CheckLengthsTest, testing::ValuesIn(kLengthCases));

struct CopyCase {
  Shape shape;
  size_t dimension;
  int64_t extent;
  std::vector<float> expected;
};

std::ostream& operator<<(std::ostream& out, const CopyCase& c) {
  return out << ShapeName(c.shape) << " dimension " << c.dimension << " to " << c.extent;
}

class CopyPaddedTest : public testing::TestWithParam<CopyCase> {};

TEST_P(CopyPaddedTest, FillsUpAlongTheDimension) {
  const CopyCase& c = GetParam();
  ElementBytes nine{};
  const float value = 9;
  std::memcpy(nine.data(), &value, sizeof(value));
  std::vector<float> copy(c.expected.size());
  auto* begin = reinterpret_cast<std::byte*>(copy.data());
  EXPECT_EQ(CopyPadded(Ramp(c.shape), c.dimension, c.extent, nine, begin), begin + copy.size() * sizeof(float));
  EXPECT_EQ(copy, c.expected);
}

const CopyCase kCopyCases[] = {
    {{1, 2}, 1, 4, {0, 1, 9, 9}},
    {{2, 2}, 1, 3, {0, 1, 9, 2, 3, 9}},
    {{2, 2}, 1, 2, {0, 1, 2, 3}},
    {{2, 0}, 1, 2, {9, 9, 9, 9}},
    {{0, 3}, 1, 4, {}},
    {{1, 2, 2}, 1, 3, {0, 1, 2, 3, 9, 9}},
    {{1, 2, 2}, 2, 3, {0, 1, 9, 2, 3, 9}},
    {{2, 1, 2}, 1, 2, {0, 1, 9, 9, 2, 3, 9, 9}},
    {{2, 2, 1, 1}, 2, 2, {0, 9, 1, 9, 2, 9, 3, 9}},
};

INSTANTIATE_TEST_SUITE_P(Table, CopyPaddedTest, testing::ValuesIn(kCopyCases));

TEST(CopyPaddedTest, ElementHasTheTypesWidth) {
  std::byte* fill = nullptr;
  const Tensor tensor = Tensor::Allocate(DType::kInt16, {2, 1}, &fill);
  const int16_t values[] = {1, 2};
  std::memcpy(fill, values, sizeof(values));
  std::vector<int16_t> copy(4);
  CopyPadded(tensor, 1, 2, *ToElement(DType::kInt16, int64_t{-3}), reinterpret_cast<std::byte*>(copy.data()));
  EXPECT_EQ(copy, (std::vector<int16_t>{1, -3, 2, -3}));
}

template <class T>
std::vector<T> Mask(DType dtype) {
  std::vector<T> mask(8);
  auto* begin = reinterpret_cast<std::byte*>(mask.data());
  EXPECT_EQ(FillMask(dtype, 2, 1, 4, begin), begin + mask.size() * sizeof(T)) << DTypeName(dtype);
  return mask;
}

TEST(FillMaskTest, IsOneForWhatIsThereInEveryType) {
  EXPECT_EQ(Mask<uint8_t>(DType::kBool), (std::vector<uint8_t>{1, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(Mask<int8_t>(DType::kInt8), (std::vector<int8_t>{1, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(Mask<int64_t>(DType::kInt64), (std::vector<int64_t>{1, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(Mask<uint16_t>(DType::kFp16), (std::vector<uint16_t>{0x3c00, 0, 0, 0, 0x3c00, 0, 0, 0}));
  EXPECT_EQ(Mask<uint16_t>(DType::kBf16), (std::vector<uint16_t>{0x3f80, 0, 0, 0, 0x3f80, 0, 0, 0}));
  EXPECT_EQ(Mask<float>(DType::kFp32), (std::vector<float>{1, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(Mask<double>(DType::kFp64), (std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(CutOutputsTest, WhatWasPaddedIsCutOff) {
  Padding padding = MakePadding();
  padding.outputs = {{0, 1, 0}, {2, 2, 0}};
  const std::vector<Tensor> inputs = {Ramp({2, 1}), Ramp({2, 1}), Ramp({2, 2, 1})};
  const std::vector<Tensor> cut = CutOutputs(padding, inputs, {Ramp({2, 4}), Ramp({2, 4}), Ramp({2, 2, 4})});
  EXPECT_EQ(cut[0].shape(), (Shape{2, 1}));
  EXPECT_EQ(Values(cut[0]), (std::vector<float>{0, 4}));
  EXPECT_EQ(cut[1].shape(), (Shape{2, 4})) << "not padded";
  EXPECT_EQ(cut[2].shape(), (Shape{2, 2, 1}));
  EXPECT_EQ(Values(cut[2]), (std::vector<float>{0, 4, 8, 12}));
}

TEST(CutOutputsTest, SingleRowIsCutWithoutACopy) {
  Padding padding = MakePadding();
  padding.outputs = {{0, 1, 0}};
  const std::vector<Tensor> inputs = {Ramp({1, 3}), Ramp({1, 1}), Ramp({1, 2, 3})};
  std::vector<Tensor> outputs = {Ramp({1, 4, 2})};
  const std::byte* data = outputs[0].data();
  const std::vector<Tensor> cut = CutOutputs(padding, inputs, std::move(outputs));
  EXPECT_EQ(cut[0].data(), data);
  EXPECT_EQ(cut[0].shape(), (Shape{1, 3, 2}));
  EXPECT_EQ(Values(cut[0]), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(CutOutputsTest, FullBucketIsLeftAsItIs) {
  Padding padding = MakePadding();
  padding.outputs = {{0, 1, 0}};
  const std::vector<Tensor> inputs = {Ramp({2, 4}), Ramp({2, 1}), Ramp({2, 2, 4})};
  std::vector<Tensor> outputs = {Ramp({2, 4})};
  const std::byte* data = outputs[0].data();
  EXPECT_EQ(CutOutputs(padding, inputs, std::move(outputs))[0].data(), data);
}

}  // namespace
}  // namespace predictd
