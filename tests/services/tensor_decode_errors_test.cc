#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/services/tensor_codec.h"
#include "server/services/tensor_elements.h"

namespace predictd {
namespace {

struct BadTensor {
  DType dtype;
  Shape shape;
  // In the text format of protobuf.
  const char* message;
  // Path and description.
  const char* error;
};

std::ostream& operator<<(std::ostream& out, const BadTensor& c) {
  return out << DTypeName(c.dtype) << ShapeName(c.shape) << ' ' << c.message;
}

class BadTensorTest : public testing::TestWithParam<BadTensor> {};

TEST_P(BadTensorTest, NamesTheFieldAndWhatIsExpected) {
  auto message = std::make_shared<v1::Tensor>();
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().message, message.get()));
  FieldErrors errors;
  EXPECT_FALSE(
      DecodeTensor(*message, {"x", GetParam().dtype, GetParam().shape}, message, "inputs[3]", errors).has_value());
  EXPECT_EQ(errors.ToStatus().message(), GetParam().error);
}

const BadTensor kBadTensors[] = {
    // Type.
    {DType::kFp32, {-1}, "dtype: DATA_TYPE_FP64", "inputs[3].dtype: expected DATA_TYPE_FP32, got DATA_TYPE_FP64"},
    {DType::kBytes, {-1}, "dtype: DATA_TYPE_BOOL", "inputs[3].dtype: expected DATA_TYPE_BYTES, got DATA_TYPE_BOOL"},
    // Where the elements are.
    {DType::kFp32,
     {-1},
     "raw: 'abcd' float_values: 1",
     "inputs[3].float_values: expected elements either here or in raw, got both"},
    {DType::kFp32,
     {-1},
     "raw: 'abcd' int_values: 1",
     "inputs[3].int_values: expected elements either here or in raw, got both"},
    {DType::kFp32,
     {-1},
     "double_values: 1",
     "inputs[3].double_values: expected the elements of FP32 in float_values or raw, got double_values"},
    {DType::kFp16,
     {-1},
     "uint_values: 1",
     "inputs[3].uint_values: expected the elements of FP16 in float_values or raw, got uint_values"},
    {DType::kInt64,
     {-1},
     "int_values: 1",
     "inputs[3].int_values: expected the elements of INT64 in int64_values or raw, got int_values"},
    {DType::kUint8,
     {-1},
     "bytes_values: 'a'",
     "inputs[3].bytes_values: expected the elements of UINT8 in uint_values or raw, got bytes_values"},
    {DType::kBytes,
     {-1},
     "float_values: 1",
     "inputs[3].float_values: expected the elements of BYTES in bytes_values, string_values or raw, got float_values"},
    {DType::kUint8,
     {-1},
     "string_values: '1'",
     "inputs[3].string_values: expected the elements of UINT8 in uint_values or raw, got string_values"},
    {DType::kBytes,
     {-1},
     "bytes_values: 'a' string_values: 'b'",
     "inputs[3].string_values: expected elements either here or in bytes_values, got both"},
    {DType::kBytes,
     {-1},
     "string_values: 'a' raw: 'b'",
     "inputs[3].string_values: expected elements either here or in raw, got both"},
    {DType::kBytes, {-1}, "shape: 3 string_values: 'a'", "inputs[3].shape: expected 3 elements for shape [3], got 1"},
    {DType::kFp32,
     {-1},
     "float_values: 1 bool_values: true",
     "inputs[3].bool_values: expected the elements of FP32 in float_values or raw, got bool_values"},
    // Range.
    {DType::kInt8,
     {-1},
     "int_values: [127, 128]",
     "inputs[3].int_values[1]: expected a value that INT8 can hold, got 128"},
    {DType::kInt8, {-1}, "int_values: -129", "inputs[3].int_values[0]: expected a value that INT8 can hold, got -129"},
    {DType::kInt16,
     {-1},
     "int_values: 32768",
     "inputs[3].int_values[0]: expected a value that INT16 can hold, got 32768"},
    {DType::kInt16,
     {-1},
     "int_values: [0, 0, -32769]",
     "inputs[3].int_values[2]: expected a value that INT16 can hold, got -32769"},
    {DType::kUint8,
     {-1},
     "uint_values: 256",
     "inputs[3].uint_values[0]: expected a value that UINT8 can hold, got 256"},
    {DType::kUint16,
     {-1},
     "uint_values: 65536",
     "inputs[3].uint_values[0]: expected a value that UINT16 can hold, got 65536"},
    {DType::kFp16,
     {-1},
     "float_values: [1, 65520]",
     "inputs[3].float_values[1]: expected a value that FP16 can hold, got 65520"},
    {DType::kFp16,
     {-1},
     "float_values: -1e30",
     "inputs[3].float_values[0]: expected a value that FP16 can hold, got -1e+30"},
    {DType::kBf16,
     {-1},
     "float_values: 3.4028235e38",
     "inputs[3].float_values[0]: expected a value that BF16 can hold, got 3.40282e+38"},
    // Shape.
    {DType::kFp32,
     {-1, 2},
     "shape: [1, 3] float_values: [1, 2, 3]",
     "inputs[3].shape: expected shape [-1,2], got [1,3]"},
    {DType::kFp32, {-1, 2}, "shape: 2 float_values: [1, 2]", "inputs[3].shape: expected shape [-1,2], got [2]"},
    {DType::kFp32, {-1, 2}, "shape: [-1, 2]", "inputs[3].shape: expected shape [-1,2], got [-1,2]"},
    {DType::kFp32,
     {-1, 2},
     "shape: [2, 2] float_values: [1, 2, 3]",
     "inputs[3].shape: expected 4 elements for shape [2,2], got 3"},
    {DType::kFp32, {-1, 2}, "shape: [1, 2]", "inputs[3].shape: expected 2 elements for shape [1,2], got 0"},
    {DType::kFp32,
     {-1, 2},
     "float_values: [1, 2, 3]",
     "inputs[3].shape: expected a multiple of 2 elements for shape [-1,2], got 3"},
    {DType::kFp32,
     {-1, -1},
     "float_values: [1, 2]",
     "inputs[3].shape: expected a shape like [-1,-1], got none, and it leaves 2 dimensions open"},
    {DType::kFp32,
     {-1, -1},
     "shape: [9223372036854775807, 9223372036854775807] raw: 'abcd'",
     "inputs[3].shape: expected too many elements for shape [9223372036854775807,9223372036854775807], got 1"},
    {DType::kFp32,
     {-1, -1},
     "shape: [4294967296, 4294967296]",
     "inputs[3].shape: expected too many elements for shape [4294967296,4294967296], got 0"},
    {DType::kFp32, {}, "", "inputs[3].shape: expected 1 elements for shape [], got 0"},
    // Raw bytes.
    {DType::kFp32, {-1}, "raw: 'abcde'", "inputs[3].raw: expected a multiple of 4 bytes for FP32, got 5"},
    {DType::kFp64, {-1}, "raw: 'abcd'", "inputs[3].raw: expected a multiple of 8 bytes for FP64, got 4"},
    {DType::kFp16, {-1}, "raw: 'abc'", "inputs[3].raw: expected a multiple of 2 bytes for FP16, got 3"},
    {DType::kFp32, {-1, 2}, "shape: [1, 2] raw: 'abcd'", "inputs[3].shape: expected 2 elements for shape [1,2], got 1"},
    {DType::kBool, {-1}, "raw: '\\000\\001\\002'", "inputs[3].raw: expected 0 or 1 for each BOOL, got 2 at byte 2"},
    {DType::kBool, {-1}, "raw: '\\377'", "inputs[3].raw: expected 0 or 1 for each BOOL, got 255 at byte 0"},
    {DType::kBytes,
     {-1},
     "raw: 'abc'",
     "inputs[3].raw: expected for each element a 4-byte little-endian length and that many bytes, got less"},
    {DType::kBytes,
     {-1},
     "raw: '\\003\\000\\000\\000ab'",
     "inputs[3].raw: expected for each element a 4-byte little-endian length and that many bytes, got less"},
    {DType::kBytes,
     {-1},
     "raw: '\\377\\377\\377\\377ab'",
     "inputs[3].raw: expected for each element a 4-byte little-endian length and that many bytes, got less"},
    {DType::kBytes,
     {-1},
     "raw: '\\001\\000\\000\\000ab'",
     "inputs[3].raw: expected for each element a 4-byte little-endian length and that many bytes, got less"},
    {DType::kBytes,
     {-1},
     "shape: 2 raw: '\\001\\000\\000\\000a'",
     "inputs[3].shape: expected 2 elements for shape [2], got 1"},
};

INSTANTIATE_TEST_SUITE_P(Table, BadTensorTest, testing::ValuesIn(kBadTensors));

struct OutOfRange {
  DType dtype;
  double least;
  double most;
  const char* message;
  const char* error;
};

std::ostream& operator<<(std::ostream& out, const OutOfRange& c) {
  return out << DTypeName(c.dtype) << ' ' << c.message;
}

class OutOfRangeTest : public testing::TestWithParam<OutOfRange> {};

TEST_P(OutOfRangeTest, NamesTheElementAndItsValue) {
  auto message = std::make_shared<v1::Tensor>();
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().message, message.get()));
  TensorSpec spec{"x", GetParam().dtype, {-1}};
  spec.range = ValueRange{*ToElement(spec.dtype, GetParam().least), *ToElement(spec.dtype, GetParam().most)};
  FieldErrors errors;
  const std::optional<Tensor> tensor = DecodeTensor(*message, spec, message, "inputs[0]", errors);
  EXPECT_EQ(tensor.has_value(), GetParam().error == nullptr);
  if (GetParam().error == nullptr) {
    EXPECT_TRUE(errors.empty()) << errors.ToStatus();
  } else {
    EXPECT_EQ(errors.ToStatus().message(), GetParam().error);
  }
}

const OutOfRange kOutOfRange[] = {
    {DType::kInt64, 0, 9, "int64_values: [0, 9]", nullptr},
    {DType::kInt64, 0, 9, "int64_values: [0, 9, 10]",
     "inputs[0].int64_values: expected values from 0 to 9, got 10 as element 2"},
    {DType::kInt64, 0, 9, "raw: '\\377\\377\\377\\377\\377\\377\\377\\377'",
     "inputs[0].raw: expected values from 0 to 9, got -1 as element 0"},
    {DType::kInt8, -1, 1, "int_values: [-1, 2]",
     "inputs[0].int_values: expected values from -1 to 1, got 2 as element 1"},
    {DType::kFp32, 0, 0.5, "float_values: [0.5, nan]",
     "inputs[0].float_values: expected values from 0 to 0.5, got nan as element 1"},
    {DType::kFp16, 0, 0.5, "float_values: [0.5, inf]",
     "inputs[0].float_values: expected values from 0 to 0.5, got inf as element 1"},
};

INSTANTIATE_TEST_SUITE_P(Table, OutOfRangeTest, testing::ValuesIn(kOutOfRange));

TEST(BadTensorTypeTest, ManyRawStringsAreRefusedBeforeTheyAreMade) {
  v1::Tensor message;
  message.set_raw(std::string(sizeof(uint32_t) * (kMaxStrings + 1), '\0'));
  FieldErrors errors;
  EXPECT_FALSE(DecodeTensor(message, {"x", DType::kBytes, {-1}}, nullptr, "inputs[0]", errors).has_value());
  EXPECT_EQ(errors.ToStatus().message(), "inputs[0].raw: expected at most 1048576 strings, got 1048577");
}

TEST(BadTensorTypeTest, NumberThatIsNoTypeIsNamed) {
  v1::Tensor message;
  message.set_dtype(static_cast<v1::DataType>(99));
  FieldErrors errors;
  EXPECT_FALSE(DecodeTensor(message, {"x", DType::kFp32, {-1}}, nullptr, "inputs[0]", errors).has_value());
  EXPECT_EQ(errors.ToStatus().message(), "inputs[0].dtype: expected DATA_TYPE_FP32, got the unknown type 99");
}

}  // namespace
}  // namespace predictd
