#include "client/predictctl/json_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "client/predictctl/json_text.h"
#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<v1::Tensor> Read(const char* text, v1::DataType type) {
  const absl::StatusOr<nlohmann::json> json = ParseJson(text, NonFinite::kAsStrings);
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
  EXPECT_THAT(MessageFor("[\"NaN\"]", v1::DATA_TYPE_INT32), HasSubstr("expected an integer, got \"NaN\""));
  EXPECT_THAT(MessageFor("[\"nan\"]", v1::DATA_TYPE_FP32), HasSubstr("\"NaN\""));
}

TEST(JsonTensorTest, RaggedNestingIsRefusedWithItsPlace) {
  EXPECT_EQ(MessageFor("[[1, 2], [3]]", v1::DATA_TYPE_FP32),
            "at [1]: ragged: expected an array of 2 as at [0], got one of 1; arrays beside each other must be equally "
            "long");
  EXPECT_THAT(MessageFor("[[[1], [2]], [[3], [4, 5]]]", v1::DATA_TYPE_FP32),
              HasSubstr("at [1][1]: ragged: expected an array of 1 as at [0][0], got one of 2"));
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

TEST(JsonTensorTest, FloatsAreRoundedOnce) {
  const auto bits = []<typename T>(const char* text, std::type_identity<T>) {
    return TensorValues<T>(*Read(text, kDataTypeOf<T>))->front().bits;
  };
  const auto fp16 = [&](const char* text) { return bits(text, std::type_identity<Half>{}); };
  const auto bf16 = [&](const char* text) { return bits(text, std::type_identity<BFloat16>{}); };
  // Each is close to the middle between two values: rounded to a float first, it would lie in the middle.
  EXPECT_EQ(fp16("1.0004882812500003"), 0x3c01);
  EXPECT_EQ(fp16("1.0014648437499997"), 0x3c01);
  EXPECT_EQ(fp16("65519.999999999"), 0x7bff);
  EXPECT_EQ(fp16("2.980232238769532e-8"), 0x0001);
  EXPECT_EQ(bf16("1.0039062500000002"), 0x3f81);
  EXPECT_EQ(bf16("1.0117187499999998"), 0x3f81);
  EXPECT_EQ(bf16("72339069014638593"), 0x5b81) << "the middle is 2^56 + 2^48";
  EXPECT_EQ(bf16("-72339069014638593"), 0xdb81);
  // 2^60 + 2^36 is the middle, and no double lies between it and this number.
  EXPECT_THAT(*TensorValues<float>(*Read("[1152921573326323713]", v1::DATA_TYPE_FP32)),
              ElementsAre(std::nextafter(std::ldexp(1.0F, 60), std::numeric_limits<float>::infinity())));
}

TEST(JsonTensorTest, AMinusStaysWithZero) {
  for (const char* text : {"[-0]", "[-0.0]", "[-0e1]", "[-1e-400]"}) {
    for (const bool cast : {false, true}) {
      const nlohmann::json json = *ParseJson(text, NonFinite::kAsStrings);
      const auto read = [&](v1::DataType type) { return TensorFromJson(json, type, cast)->raw(); };
      EXPECT_EQ(read(v1::DATA_TYPE_FP64), std::string("\0\0\0\0\0\0\0\x80", 8)) << text;
      EXPECT_EQ(read(v1::DATA_TYPE_FP32), std::string("\0\0\0\x80", 4)) << text;
      EXPECT_EQ(read(v1::DATA_TYPE_FP16), std::string("\0\x80", 2)) << text;
      EXPECT_EQ(read(v1::DATA_TYPE_BF16), std::string("\0\x80", 2)) << text;
    }
  }
  EXPECT_EQ(Read("[0]", v1::DATA_TYPE_FP32)->raw(), std::string(4, '\0'));
  EXPECT_THAT(*TensorValues<std::int32_t>(*Read("[-0]", v1::DATA_TYPE_INT32)), ElementsAre(0));
  EXPECT_THAT(*TensorValues<std::uint8_t>(
                  *TensorFromJson(*ParseJson("[-0]", NonFinite::kRefused), v1::DATA_TYPE_UINT8, /*cast=*/true)),
              ElementsAre(0));
}

TEST(JsonTensorTest, NumbersThatAreNoneNeedNoQuotes) {
  const v1::Tensor tensor = *Read("[[NaN, Infinity], [-Infinity, 1]]", v1::DATA_TYPE_FP64);
  const std::vector<double> values = *TensorValues<double>(tensor);
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], std::numeric_limits<double>::infinity());
  EXPECT_EQ(values[2], -std::numeric_limits<double>::infinity());
  const v1::Tensor strings = *Read(R"(["NaN", "a\\", "\"NaN Infinity"])", v1::DATA_TYPE_BYTES);
  EXPECT_THAT(*SplitBytesElements(strings.raw()), ElementsAre("NaN", "a\\", "\"NaN Infinity"));
  EXPECT_THAT(MessageFor("[NaNo]", v1::DATA_TYPE_FP64), HasSubstr("not JSON"));
  EXPECT_THAT(MessageFor("[1, NaN]", v1::DATA_TYPE_INT32), HasSubstr("at [1]: expected an integer"));
}

TEST(JsonTensorTest, CastTakesNumbersForEachOtherIfNothingChanges) {
  const auto cast = [](const char* text, v1::DataType type) {
    return TensorFromJson(*ParseJson(text, NonFinite::kAsStrings), type, true);
  };
  EXPECT_THAT(*TensorValues<std::int32_t>(*cast("[1.0, true, -3]", v1::DATA_TYPE_INT32)), ElementsAre(1, 1, -3));
  EXPECT_THAT(*TensorValues<bool>(*cast("[1, 0.0, true]", v1::DATA_TYPE_BOOL)), ElementsAre(true, false, true));
  EXPECT_THAT(*TensorValues<float>(*cast("[true, 0.1]", v1::DATA_TYPE_FP32)), ElementsAre(1, 0.1F));
  EXPECT_EQ(cast("[1, 2.5]", v1::DATA_TYPE_INT64).status().message(), "at [1]: INT64 cannot hold 2.5");
  EXPECT_EQ(cast("[2]", v1::DATA_TYPE_BOOL).status().message(), "at [0]: BOOL cannot hold 2");
  EXPECT_THAT(MessageFor("[1.0]", v1::DATA_TYPE_INT32), HasSubstr("expected an integer, got 1.0 (--cast converts it)"));
  EXPECT_THAT(MessageFor("[1]", v1::DATA_TYPE_BOOL), HasSubstr("expected true or false, got 1 (--cast converts it)"));
  EXPECT_EQ(MessageFor("[1.5]", v1::DATA_TYPE_INT32), "at [0]: expected an integer, got 1.5");
}

}  // namespace
}  // namespace predictd
