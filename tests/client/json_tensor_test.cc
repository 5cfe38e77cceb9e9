#include "client/predictctl/json_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<v1::Tensor> Read(const char* text, v1::DataType type) {
  const absl::StatusOr<nlohmann::json> json = ParseJson(text);
  if (!json.ok()) return json.status();
  return TensorFromJson(*json, type);
}

std::string MessageFor(const char* text, v1::DataType type) {
  const absl::StatusOr<v1::Tensor> tensor = Read(text, type);
  EXPECT_TRUE(absl::IsInvalidArgument(tensor.status())) << text << ": " << tensor.status();
  return std::string(tensor.status().message());
}

TEST(JsonTensorTest, NestingGivesTheShape) {
  EXPECT_THAT(Read("[[1, 2, 3], [4, 5, 6]]", v1::DATA_TYPE_FP32)->shape(), ElementsAre(2, 3));
  EXPECT_THAT(Read("7", v1::DATA_TYPE_INT8)->shape(), ElementsAre());
  EXPECT_THAT(Read("[]", v1::DATA_TYPE_INT8)->shape(), ElementsAre(0));
  EXPECT_THAT(Read("[[], []]", v1::DATA_TYPE_INT8)->shape(), ElementsAre(2, 0));
}

TEST(JsonTensorTest, ValuesTakeTheTypeOfTheSignature) {
  EXPECT_THAT(*TensorValues<float>(*Read("[1, 2.5, -3e2]", v1::DATA_TYPE_FP32)), ElementsAre(1, 2.5, -300));
  EXPECT_THAT(*TensorValues<double>(*Read("[0.1]", v1::DATA_TYPE_FP64)), ElementsAre(0.1));
  EXPECT_THAT(*TensorValues<bool>(*Read("[true, false]", v1::DATA_TYPE_BOOL)), ElementsAre(true, false));
  EXPECT_THAT(*TensorValues<std::int64_t>(*Read("[-9223372036854775808]", v1::DATA_TYPE_INT64)),
              ElementsAre(std::numeric_limits<std::int64_t>::min()));
  EXPECT_THAT(*TensorValues<std::uint64_t>(*Read("[18446744073709551615]", v1::DATA_TYPE_UINT64)),
              ElementsAre(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_EQ(TensorValues<Half>(*Read("[1.5]", v1::DATA_TYPE_FP16))->front().bits, 0x3e00);
  EXPECT_EQ(TensorValues<BFloat16>(*Read("[1.5]", v1::DATA_TYPE_BF16))->front().bits, 0x3fc0);
  EXPECT_EQ(Read("[\"ab\", \"\"]", v1::DATA_TYPE_BYTES)->raw(), std::string("\x02\0\0\0ab\0\0\0\0", 10));
}

TEST(JsonTensorTest, FloatsTakeTheSpecialValuesAsStrings) {
  const std::vector<float> values =
      *TensorValues<float>(*Read(R"(["NaN", "Infinity", "-Infinity"])", v1::DATA_TYPE_FP32));
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[2], -std::numeric_limits<float>::infinity());
  EXPECT_THAT(MessageFor("[NaN]", v1::DATA_TYPE_FP32), HasSubstr("not JSON"));
  EXPECT_THAT(MessageFor("[\"NaN\"]", v1::DATA_TYPE_INT32), HasSubstr("expected an integer, got \"NaN\""));
  EXPECT_THAT(MessageFor("[\"nan\"]", v1::DATA_TYPE_FP32), HasSubstr("\"NaN\""));
}

TEST(JsonTensorTest, RaggedNestingIsRefusedWithItsPlace) {
  EXPECT_THAT(MessageFor("[[1, 2], [3]]", v1::DATA_TYPE_FP32), HasSubstr("at [1]: ragged"));
  EXPECT_THAT(MessageFor("[[1, 2], 3]", v1::DATA_TYPE_FP32), HasSubstr("at [1]: ragged"));
  EXPECT_THAT(MessageFor("[1, [2]]", v1::DATA_TYPE_FP32), HasSubstr("at [1]: ragged"));
  EXPECT_THAT(MessageFor("[[], [1]]", v1::DATA_TYPE_FP32), HasSubstr("at [1]: ragged"));
}

TEST(JsonTensorTest, ValuesOfAnotherTypeAreRefusedWithTheirPlace) {
  EXPECT_THAT(MessageFor("[[1, \"2\"]]", v1::DATA_TYPE_FP32), HasSubstr("at [0][1]: expected a number"));
  EXPECT_THAT(MessageFor("[null]", v1::DATA_TYPE_FP32), HasSubstr("got null"));
  EXPECT_THAT(MessageFor("[true]", v1::DATA_TYPE_FP32), HasSubstr("got true"));
  EXPECT_THAT(MessageFor("[1.5]", v1::DATA_TYPE_INT32), HasSubstr("expected an integer, got 1.5"));
  EXPECT_THAT(MessageFor("[1]", v1::DATA_TYPE_BOOL), HasSubstr("expected true or false, got 1"));
  EXPECT_THAT(MessageFor("[1]", v1::DATA_TYPE_BYTES), HasSubstr("expected a string, got 1"));
  EXPECT_THAT(MessageFor("{\"a\": 1}", v1::DATA_TYPE_FP32), HasSubstr("got {\"a\":1}"));
  EXPECT_THAT(MessageFor("[1]", v1::DATA_TYPE_UNSPECIFIED), HasSubstr("does not know"));
}

TEST(JsonTensorTest, ValuesOutOfRangeAreRefused) {
  const struct {
    const char* text;
    v1::DataType type;
  } kCases[] = {
      {"[128]", v1::DATA_TYPE_INT8},
      {"[-129]", v1::DATA_TYPE_INT8},
      {"[-1]", v1::DATA_TYPE_UINT8},
      {"[256]", v1::DATA_TYPE_UINT8},
      {"[65536]", v1::DATA_TYPE_UINT16},
      {"[2147483648]", v1::DATA_TYPE_INT32},
      {"[9223372036854775808]", v1::DATA_TYPE_INT64},
      {"[-1]", v1::DATA_TYPE_UINT64},
      {"[65520]", v1::DATA_TYPE_FP16},
      {"[3.4e38]", v1::DATA_TYPE_BF16},
      {"[1e39]", v1::DATA_TYPE_FP32},
  };
  for (const auto& test : kCases) EXPECT_THAT(MessageFor(test.text, test.type), HasSubstr("can hold")) << test.text;
  EXPECT_THAT(MessageFor("[18446744073709551616]", v1::DATA_TYPE_UINT64), HasSubstr("expected an integer"));
  EXPECT_THAT(MessageFor("[1e999]", v1::DATA_TYPE_FP64), HasSubstr("not JSON"));
}

TEST(JsonTensorTest, DeepNestingIsRefused) {
  const std::string text = std::string(40, '[') + std::string(40, ']');
  EXPECT_THAT(MessageFor(text.c_str(), v1::DATA_TYPE_FP32), HasSubstr("deeper"));
}

TEST(JsonTensorTest, KeysThatComeTwiceAreRefused) {
  EXPECT_THAT(std::string(ParseJson(R"({"x": [1], "x": [2]})").status().message()), HasSubstr("'x' is there twice"));
  EXPECT_TRUE(ParseJson(R"({"x": {"a": 1}, "y": {"a": 1}})").ok());
}

}  // namespace
}  // namespace predictd
