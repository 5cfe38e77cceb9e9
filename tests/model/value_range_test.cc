#include "server/model/value_range.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/model/half_float.h"
#include "server/model/model_config.h"

namespace predictd {
namespace {

template <class T>
Tensor Make(DType dtype, const std::vector<T>& values) {
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(dtype, {static_cast<int64_t>(values.size())}, &fill);
  if (!values.empty()) std::memcpy(fill, values.data(), values.size() * sizeof(T));
  return tensor;
}

ValueRange Range(DType dtype, double least, double most) {
  return {*ToElement(dtype, least), *ToElement(dtype, most)};
}

template <class T>
void ExpectEndsAreInside(DType dtype) {
  const ValueRange range = Range(dtype, 2, 5);
  EXPECT_EQ(FindOutside(Make<T>(dtype, {T(2), T(3), T(5)}), range), std::nullopt) << DTypeName(dtype);
  EXPECT_EQ(FindOutside(Make<T>(dtype, {T(2), T(6), T(9)}), range), 1) << DTypeName(dtype);
  EXPECT_EQ(FindOutside(Make<T>(dtype, {T(5), T(5), T(1)}), range), 2) << DTypeName(dtype);
  EXPECT_EQ(FindOutside(Make<T>(dtype, {}), range), std::nullopt) << DTypeName(dtype);
}

TEST(ValueRangeTest, BothEndsAreInsideInEveryType) {
  ExpectEndsAreInside<uint8_t>(DType::kUint8);
  ExpectEndsAreInside<uint16_t>(DType::kUint16);
  ExpectEndsAreInside<uint32_t>(DType::kUint32);
  ExpectEndsAreInside<uint64_t>(DType::kUint64);
  ExpectEndsAreInside<int8_t>(DType::kInt8);
  ExpectEndsAreInside<int16_t>(DType::kInt16);
  ExpectEndsAreInside<int32_t>(DType::kInt32);
  ExpectEndsAreInside<int64_t>(DType::kInt64);
  ExpectEndsAreInside<float>(DType::kFp32);
  ExpectEndsAreInside<double>(DType::kFp64);
}

TEST(ValueRangeTest, HalvesAreComparedAsNumbers) {
  const auto fp16 = [](float value) { return FloatToFp16(value); };
  const auto bf16 = [](float value) { return FloatToBf16(value); };
  EXPECT_EQ(FindOutside(Make<uint16_t>(DType::kFp16, {fp16(-2), fp16(0.5), fp16(-2.5)}), Range(DType::kFp16, -2, 1)),
            2);
  EXPECT_EQ(FindOutside(Make<uint16_t>(DType::kBf16, {bf16(-2), bf16(1), bf16(1.5)}), Range(DType::kBf16, -2, 1)), 2);
}

// Tests every FP16 number.
TEST(ValueRangeTest, Fp16IsInRangeIfItsNumberIs) {
  const ValueRange range = Range(DType::kFp16, -0.25, 1000);
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = Fp16ToFloat(half);
    const bool inside = value >= -0.25F && value <= 1000;
    ASSERT_EQ(FindOutside(Make<uint16_t>(DType::kFp16, {half}), range).has_value(), !inside) << value;
  }
  const ValueRange all = {*ToElement(DType::kFp16, -1.0 / 0.0), *ToElement(DType::kFp16, 1.0 / 0.0)};
  EXPECT_EQ(FindOutside(Make<uint16_t>(DType::kFp16, {0xfc00, 0x7c00, 0x8000, 0xfe00}), all), 3);
}

TEST(ValueRangeTest, NegativeAndUnsignedNumbersKeepTheirOrder) {
  EXPECT_EQ(FindOutside(Make<int64_t>(DType::kInt64, {-1, 0, INT64_MIN}), Range(DType::kInt64, -1, 1)), 2);
  EXPECT_EQ(FindOutside(Make<uint64_t>(DType::kUint64, {0, UINT64_MAX}), Range(DType::kUint64, 0, 9)), 1);
  EXPECT_EQ(FindOutside(Make<uint8_t>(DType::kUint8, {200, 255}), Range(DType::kUint8, 128, 254)), 1);
}

TEST(ValueRangeTest, WhatIsNoNumberIsInNoRange) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const ValueRange all = {*ToElement(DType::kFp32, double{-kInfinity}), *ToElement(DType::kFp32, double{kInfinity})};
  EXPECT_EQ(FindOutside(Make<float>(DType::kFp32, {kInfinity, -kInfinity, kNan}), all), 2);
}

// The search goes in blocks; the first element outside may be anywhere in a block or behind the last block.
TEST(ValueRangeTest, TheFirstOutsideIsFoundWhereverItIs) {
  for (const size_t size : {1U, 255U, 256U, 257U, 1000U}) {
    std::vector<int64_t> values(size, 5);
    const ValueRange range = Range(DType::kInt64, 0, 9);
    EXPECT_EQ(FindOutside(Make<int64_t>(DType::kInt64, values), range), std::nullopt);
    for (size_t i = size; i-- > 0;) {
      values[i] = 10;
      ASSERT_EQ(FindOutside(Make<int64_t>(DType::kInt64, values), range), static_cast<int64_t>(i)) << size;
    }
  }
}

TEST(ValueRangeTest, ElementsOfAMessageMayLieAnywhere) {
  const auto bytes = std::make_shared<std::string>(1 + 300 * sizeof(double), '\0');
  const double outside = 1.5;
  std::memcpy(bytes->data() + 1 + 299 * sizeof(double), &outside, sizeof(outside));
  const Tensor tensor(DType::kFp64, {300}, bytes->data() + 1, bytes);
  EXPECT_EQ(FindOutside(tensor, Range(DType::kFp64, 0, 1)), 299);
  EXPECT_EQ(ElementName(DType::kFp64, tensor.data() + 299 * sizeof(double)), "1.5");
}

TEST(ValueRangeTest, SmallIntegersAreNamedAsNumbers) {
  EXPECT_EQ(ElementName(DType::kInt8, ToElement(DType::kInt8, int64_t{-7})->data()), "-7");
  EXPECT_EQ(ElementName(DType::kUint8, ToElement(DType::kUint8, int64_t{65})->data()), "65");
}

TEST(ValueRangeTest, ModelTomlSaysItOfAnInput) {
  const auto config = ModelConfig::Parse(R"(
    inputs = [{name = "ids", dtype = "INT64", shape = [-1, -1], range = [0, 9], allow_empty = true},
              {name = "x", dtype = "FP32", shape = [-1], range = [-1, 0.5]},
              {name = "z", dtype = "FP32", shape = [-1]}]
    outputs = [{name = "y", dtype = "FP32", shape = [-1]}])");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::vector<TensorSpec>& inputs = config->signature.inputs;
  ASSERT_TRUE(inputs[0].range.has_value());
  EXPECT_EQ(inputs[0].range->most, ToElement(DType::kInt64, int64_t{9}));
  EXPECT_TRUE(inputs[0].allow_empty);
  ASSERT_TRUE(inputs[1].range.has_value());
  EXPECT_EQ(inputs[1].range->least, ToElement(DType::kFp32, -1.0));
  EXPECT_EQ(inputs[1].range->most, ToElement(DType::kFp32, 0.5));
  EXPECT_FALSE(inputs[2].range.has_value());
  EXPECT_FALSE(inputs[2].allow_empty);
}

}  // namespace
}  // namespace predictd
