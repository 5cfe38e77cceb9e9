#include "client/tensor_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "client/shape.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TensorBuilderTest, VectorsBecomeLittleEndianBytes) {
  const std::vector<std::int32_t> values = {1, -2};
  const absl::StatusOr<v1::Tensor> tensor = MakeTensor<std::int32_t>("x", {1, 2}, values);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->name(), "x");
  EXPECT_EQ(tensor->dtype(), v1::DATA_TYPE_INT32);
  EXPECT_THAT(tensor->shape(), ElementsAre(1, 2));
  EXPECT_EQ(tensor->raw(), std::string("\x01\0\0\0\xfe\xff\xff\xff", 8));
}

TEST(TensorBuilderTest, WrongSizesAreRefused) {
  EXPECT_THAT(std::string(MakeTensor<float>("x", {2, 2}, {1, 2, 3}).status().message()),
              HasSubstr("'x' FP32[2,2] holds 3 elements, not 4"));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeTensor<float>("x", {-1}, {1}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRawTensor("x", v1::DATA_TYPE_FP32, {1}, "abc").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRawTensor("x", v1::DATA_TYPE_UNSPECIFIED, {0}, "").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeRawTensor("x", v1::DATA_TYPE_BYTES, {1}, "\x05").status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(MakeRawTensor("x", v1::DATA_TYPE_BYTES, {1}, std::string("\x05\0\0\0a", 5)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeBytesTensor("x", {2}, {"a"}).status()));
}

template <typename T>
void ExpectBothEncodingsHold(const std::vector<T>& values) {
  v1::Tensor tensor = *MakeTensor<T>("x", {static_cast<std::int64_t>(values.size())}, values);
  const std::string raw = tensor.raw();
  ASSERT_TRUE(EncodeTyped(tensor).ok());
  EXPECT_TRUE(tensor.raw().empty());
  EXPECT_EQ(*TensorValues<T>(tensor), values);
  EXPECT_TRUE(EncodeTyped(tensor).ok()) << "a second time";
  ASSERT_TRUE(EncodeRaw(tensor).ok());
  EXPECT_EQ(tensor.raw(), raw);
  EXPECT_TRUE(EncodeRaw(tensor).ok()) << "a second time";
}

TEST(TensorBuilderTest, BothEncodingsHoldTheSame) {
  ExpectBothEncodingsHold<std::int8_t>({-128, 127});
  ExpectBothEncodingsHold<std::int16_t>({-32768, 32767});
  ExpectBothEncodingsHold<std::int32_t>({std::numeric_limits<std::int32_t>::min(), 7});
  ExpectBothEncodingsHold<std::int64_t>({std::numeric_limits<std::int64_t>::min(), 7});
  ExpectBothEncodingsHold<std::uint8_t>({0, 255});
  ExpectBothEncodingsHold<std::uint16_t>({0, 65535});
  ExpectBothEncodingsHold<std::uint32_t>({0, std::numeric_limits<std::uint32_t>::max()});
  ExpectBothEncodingsHold<std::uint64_t>({0, std::numeric_limits<std::uint64_t>::max()});
  ExpectBothEncodingsHold<float>({0.1F, -3});
  ExpectBothEncodingsHold<double>({0.1, -3});
}

TEST(TensorBuilderTest, HalvesAndBoolsHaveBothEncodings) {
  v1::Tensor halves = *MakeTensor<Half>("x", {2}, {ToHalf(1.5), ToHalf(-2)});
  ASSERT_TRUE(EncodeTyped(halves).ok());
  EXPECT_THAT(halves.float_values(), ElementsAre(1.5, -2));
  v1::Tensor bfloats = *MakeTensor<BFloat16>("x", {2}, {ToBFloat16(1.5), ToBFloat16(-2)});
  ASSERT_TRUE(EncodeTyped(bfloats).ok());
  ASSERT_TRUE(EncodeRaw(bfloats).ok());
  EXPECT_EQ(bfloats.raw(), std::string("\xc0\x3f\x00\xc0", 4));
  v1::Tensor bools = *MakeTensor<bool>("x", {2}, {true, false});
  EXPECT_EQ(bools.raw(), std::string("\1\0", 2));
  ASSERT_TRUE(EncodeTyped(bools).ok());
  EXPECT_THAT(bools.bool_values(), ElementsAre(true, false));
}

TEST(TensorBuilderTest, BytesHaveBothEncodings) {
  v1::Tensor tensor = *MakeBytesTensor("x", {2}, {"", std::string("a\0b", 3)});
  EXPECT_EQ(tensor.raw(), std::string("\0\0\0\0\3\0\0\0a\0b", 11));
  ASSERT_TRUE(EncodeTyped(tensor).ok());
  EXPECT_THAT(tensor.bytes_values(), ElementsAre("", std::string("a\0b", 3)));
}

TEST(TensorBuilderTest, TextIsReadLikeBytes) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DATA_TYPE_BYTES);
  tensor.add_shape(2);
  tensor.add_string_values("a");
  tensor.add_string_values("Grüße");
  ASSERT_TRUE(EncodeTyped(tensor).ok());
  EXPECT_EQ(tensor.string_values_size(), 2) << "it is typed already";
  ASSERT_TRUE(EncodeRaw(tensor).ok());
  EXPECT_EQ(tensor.string_values_size(), 0);
  EXPECT_EQ(tensor.raw(), std::string("\1\0\0\0a\7\0\0\0Grüße", 16));
  tensor.clear_raw();
  tensor.add_string_values("a");
  tensor.add_bytes_values("b");
  EXPECT_TRUE(absl::IsInvalidArgument(EncodeRaw(tensor)));
}

TEST(TensorBuilderTest, TensorsWithoutElementsAreWellFormed) {
  v1::Tensor tensor = *MakeTensor<float>("x", {0, 3}, {});
  EXPECT_TRUE(EncodeTyped(tensor).ok());
  EXPECT_TRUE(EncodeRaw(tensor).ok());
  EXPECT_TRUE(TensorValues<float>(tensor)->empty());
}

TEST(TensorBuilderTest, MalformedTensorsAreRefusedAndLeftAlone) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DATA_TYPE_INT8);
  tensor.add_shape(1);
  tensor.add_int_values(128);
  const std::string before = tensor.SerializeAsString();
  EXPECT_THAT(std::string(EncodeRaw(tensor).message()), HasSubstr("cannot hold 128"));
  EXPECT_EQ(tensor.SerializeAsString(), before);
  tensor.set_dtype(v1::DATA_TYPE_FP32);
  EXPECT_THAT(std::string(EncodeRaw(tensor).message()), HasSubstr("another type"));
  EXPECT_THAT(std::string(EncodeTyped(tensor).message()), HasSubstr("another type"));
  tensor.set_raw("abcd");
  EXPECT_THAT(std::string(EncodeRaw(tensor).message()), HasSubstr("both raw and typed"));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRaw(tensor)));
}

TEST(TensorBuilderTest, ValuesOfAnotherTypeAreNotRead) {
  EXPECT_THAT(std::string(TensorValues<double>(*MakeTensor<float>("x", {1}, {1})).status().message()),
              HasSubstr("'x' is FP32, not FP64"));
}

TEST(ShapeTest, ElementsAreCounted) {
  EXPECT_EQ(*ElementCount({}), 1);
  EXPECT_EQ(*ElementCount({2, 3}), 6);
  EXPECT_EQ(*ElementCount({std::int64_t{1} << 62, 0, 8}), 0);
  EXPECT_EQ(*ByteCount({3}, 8), 24);
  EXPECT_FALSE(ElementCount({std::int64_t{1} << 62, 2}).ok());
  EXPECT_FALSE(ElementCount({0, -1}).ok());
  EXPECT_FALSE(ByteCount({std::int64_t{1} << 61}, 4).ok());
}

TEST(DataTypeTest, NamesAndWidths) {
  EXPECT_EQ(DataTypeName(v1::DATA_TYPE_BF16), "BF16");
  EXPECT_EQ(DataTypeName(static_cast<v1::DataType>(99)), "?");
  EXPECT_EQ(DataTypeWidth(v1::DATA_TYPE_FP64), 8);
  EXPECT_EQ(DataTypeWidth(v1::DATA_TYPE_BYTES), 0);
}

TEST(TensorValuesTest, EveryByteButZeroIsTrue) {
  const v1::Tensor tensor = *MakeRawTensor("x", v1::DATA_TYPE_BOOL, {3}, std::string("\0\1\xf7", 3));
  EXPECT_THAT(*TensorValues<bool>(tensor), ::testing::ElementsAre(false, true, true));
  v1::Tensor typed = tensor;
  ASSERT_TRUE(EncodeTyped(typed).ok());
  ASSERT_TRUE(EncodeRaw(typed).ok());
  EXPECT_EQ(typed.raw(), std::string("\0\1\1", 3));
}

}  // namespace
}  // namespace predictd
