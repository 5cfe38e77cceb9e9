#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "server/model/model_config.h"

namespace predictd {
namespace {

constexpr char kOutputs[] = R"([{name = "y", dtype = "FP32", shape = [-1]}])";

absl::StatusOr<ModelConfig> Parse(const std::string& inputs, const std::string& outputs = kOutputs,
                                  const std::string& more = "") {
  return ModelConfig::Parse(more + "\ninputs = " + inputs + "\noutputs = " + outputs + "\n");
}

TEST(PaddingConfigTest, EveryKeyIsRead) {
  const auto config = Parse(
      R"([{name = "mask", dtype = "BOOL", shape = [-1, -1], mask_of = "tokens"},
          {name = "types", dtype = "INT32", shape = [-1, 4, -1], pad_like = "tokens", pad_value = 7},
          {name = "scale", dtype = "FP32", shape = [-1]},
          {name = "tokens", dtype = "INT64", shape = [-1, -1], pad_to = [16, 32, 64]}])",
      R"([{name = "pooled", dtype = "FP32", shape = [-1, 8]},
          {name = "hidden", dtype = "FP32", shape = [-1, 2, -1], unpad = "tokens"}])");
  ASSERT_TRUE(config.ok()) << config.status();
  const Signature& signature = config->signature;
  ASSERT_EQ(signature.inputs.size(), 3U) << "the mask is not sent";
  EXPECT_EQ(signature.inputs[0].name, "types");
  EXPECT_EQ(signature.inputs[2].name, "tokens");
  EXPECT_EQ(signature.arguments(), 4U);
  ASSERT_EQ(signature.padding.lengths.size(), 1U);
  EXPECT_EQ(signature.padding.lengths[0].input, 2U);
  EXPECT_EQ(signature.padding.lengths[0].name, "tokens");
  EXPECT_EQ(signature.padding.lengths[0].dimension, 1U);
  EXPECT_EQ(signature.padding.lengths[0].buckets, (std::vector<int64_t>{16, 32, 64}));
  ASSERT_EQ(signature.padding.inputs.size(), 2U);
  EXPECT_EQ(signature.padding.Find(0)->dimension, 2U);
  EXPECT_EQ(signature.padding.Find(0)->element, ToElement(DType::kInt32, int64_t{7}));
  EXPECT_EQ(signature.padding.Find(1), nullptr);
  EXPECT_EQ(signature.padding.Find(2)->element, ElementBytes{});
  ASSERT_EQ(signature.padding.masks.size(), 1U);
  EXPECT_EQ(signature.padding.masks[0].argument, 0U);
  EXPECT_EQ(signature.padding.masks[0].name, "mask");
  EXPECT_EQ(signature.padding.masks[0].dtype, DType::kBool);
  ASSERT_EQ(signature.padding.outputs.size(), 1U);
  EXPECT_EQ(signature.padding.outputs[0].output, 1U);
  EXPECT_EQ(signature.padding.outputs[0].dimension, 2U);
}

TEST(PaddingConfigTest, LengthsAreSeparate) {
  const auto config = Parse(
      R"([{name = "a", dtype = "FP32", shape = [-1, -1], pad_to = [1]},
          {name = "b", dtype = "FP32", shape = [-1, -1], pad_to = [2]},
          {name = "mb", dtype = "INT8", shape = [-1, -1], mask_of = "b"},
          {name = "ma", dtype = "INT8", shape = [-1, -1], mask_of = "a"}])",
      R"([{name = "y", dtype = "FP32", shape = [-1, -1], unpad = "b"}])");
  ASSERT_TRUE(config.ok()) << config.status();
  const Padding& padding = config->signature.padding;
  ASSERT_EQ(padding.masks.size(), 2U);
  EXPECT_EQ(padding.masks[0].length, 1U);
  EXPECT_EQ(padding.masks[0].argument, 2U);
  EXPECT_EQ(padding.masks[1].length, 0U);
  EXPECT_EQ(padding.outputs[0].length, 1U);
}

TEST(PaddingConfigTest, PadValueIsOfTheInputsType) {
  const auto element = [](const std::string& dtype, const std::string& value) {
    const auto config = Parse(R"([{name = "x", dtype = ")" + dtype +
                              R"(", shape = [-1, -1], pad_to = [4], pad_value = )" + value + "}]");
    EXPECT_TRUE(config.ok()) << config.status();
    return config.ok() ? config->signature.padding.inputs[0].element : ElementBytes{};
  };
  EXPECT_EQ(element("BOOL", "true"), ToElement(DType::kBool, int64_t{1}));
  EXPECT_EQ(element("UINT8", "255"), ToElement(DType::kUint8, int64_t{255}));
  EXPECT_EQ(element("FP32", "-1"), ToElement(DType::kFp32, -1.0));
  EXPECT_EQ(element("FP16", "0.5"), ToElement(DType::kFp16, 0.5));
  EXPECT_EQ(element("FP64", "-inf"), ToElement(DType::kFp64, -1.0 / 0.0));
}

struct BadPadding {
  const char* inputs;
  const char* error;
  const char* outputs = kOutputs;
  const char* more = "";
};

std::ostream& operator<<(std::ostream& out, const BadPadding& c) {
  return out << c.inputs << ' ' << c.outputs;
}

class BadPaddingConfig : public testing::TestWithParam<BadPadding> {};

TEST_P(BadPaddingConfig, NamesTheKeyAndWhatIsExpected) {
  EXPECT_EQ(Parse(GetParam().inputs, GetParam().outputs, GetParam().more).status(),
            absl::InvalidArgumentError(GetParam().error));
}

constexpr char kBuckets[] =
    "inputs[0].pad_to: expected a list of 1 to 64 lengths, each at least 1 and more than the one before";
constexpr char kOneOpen[] =
    "inputs[0].pad_to: expected exactly one -1 in shape after the first, which is what is padded";
constexpr char kOnlyOne[] = "inputs[1].pad_like: expected only one of pad_to, pad_like and mask_of";
constexpr char kGood[] = R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4]}])";

const BadPadding kBadPadding[] = {
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = 4}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = []}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [0]}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [-1]}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4, 4]}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [8, 4]}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4.0]}])", kBuckets},
    {R"([{name = "x", dtype = "FP32", shape = [-1, 4], pad_to = [4]}])", kOneOpen},
    {R"([{name = "x", dtype = "FP32", shape = [-1], pad_to = [4]}])", kOneOpen},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1, -1], pad_to = [4]}])", kOneOpen},
    {R"([{name = "x", dtype = "BYTES", shape = [-1, -1], pad_to = [4]}])",
     "inputs[0].pad_to: expected a type other than BYTES, which cannot be padded"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1, 2], pad_to = [1073741825]}])",
     "inputs[0].pad_to: expected at most 2147483648 elements in a row of the last length"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [1073741825]},
         {name = "z", dtype = "FP32", shape = [-1, 2, -1], pad_like = "x"}])",
     "inputs[1].pad_like: expected at most 2147483648 elements in a row of the last length"},
    {kGood, "inputs[0].pad_to: expected none, as batched = false", kOutputs, "batched = false"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_value = 1}])",
     "inputs[0].pad_value: expected none, as the input is not padded (pad_to or pad_like)"},
    {R"([{name = "x", dtype = "UINT8", shape = [-1, -1], pad_to = [4], pad_value = 256}])",
     "inputs[0].pad_value: expected a value that UINT8 can hold"},
    {R"([{name = "x", dtype = "INT64", shape = [-1, -1], pad_to = [4], pad_value = 0.5}])",
     "inputs[0].pad_value: expected a value that INT64 can hold"},
    {R"([{name = "x", dtype = "BOOL", shape = [-1, -1], pad_to = [4], pad_value = 1}])",
     "inputs[0].pad_value: expected a value that BOOL can hold"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4], pad_value = true}])",
     "inputs[0].pad_value: expected a value that FP32 can hold"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4], pad_value = "0"}])",
     "inputs[0].pad_value: expected a value that FP32 can hold"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_like = "z"}])",
     "inputs[0].pad_like: expected the name of an input with pad_to, got 'z'"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], mask_of = ""}])",
     "inputs[0].mask_of: expected the name of an input with pad_to"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_like = 3}])",
     "inputs[0].pad_like: expected the name of an input with pad_to"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1]}, {name = "m", dtype = "BOOL", shape = [-1, -1], mask_of = "x"}])",
     "inputs[1].mask_of: expected the name of an input with pad_to, got 'x'"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4]},
         {name = "m", dtype = "BOOL", shape = [-1, 2, -1], mask_of = "x"}])",
     "inputs[1].shape: expected [-1, -1], as it is a mask"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4]},
         {name = "m", dtype = "BYTES", shape = [-1, -1], mask_of = "x"}])",
     "inputs[1].mask_of: expected a type other than BYTES, which cannot be padded"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4]},
         {name = "m", dtype = "BOOL", shape = [-1, -1], mask_of = "x", pad_like = "x"}])",
     kOnlyOne},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [4]},
         {name = "m", dtype = "BOOL", shape = [-1, -1], mask_of = "x", pad_value = true}])",
     "inputs[1].pad_value: expected none, as the input is not padded (pad_to or pad_like)"},
    {kGood, "outputs[0].unpad: expected the name of an input with pad_to, got 'z'",
     R"([{name = "y", dtype = "FP32", shape = [-1, -1], unpad = "z"}])"},
    {kGood, "outputs[0].unpad: expected exactly one -1 in shape after the first, which is what is padded",
     R"([{name = "y", dtype = "FP32", shape = [-1, 3], unpad = "x"}])"},
    {kGood, "outputs[0].pad_to: unknown key; known are dtype, name, optional, shape, unpad",
     R"([{name = "y", dtype = "FP32", shape = [-1, -1], pad_to = [4]}])"},
    {R"([{name = "x", dtype = "FP32", shape = [-1, -1], unpad = "x"}])",
     "inputs[0].unpad: unknown key; known are allow_empty, dtype, mask_of, name, optional, pad_like, pad_to, "
     "pad_value, range, "
     "shape, warmup_shape, warmup_values"},
};

INSTANTIATE_TEST_SUITE_P(Table, BadPaddingConfig, testing::ValuesIn(kBadPadding));

}  // namespace
}  // namespace predictd
