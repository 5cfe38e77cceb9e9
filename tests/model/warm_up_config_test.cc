// Tests what model.toml says about the inputs of a warm-up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/model/model_config.h"

namespace predictd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::string Toml(const std::string& input, const std::string& root = "") {
  return root + "\n[[inputs]]\nname = \"x\"\n" + input +
         "\n[[outputs]]\nname = \"y\"\ndtype = \"FP32\"\nshape = [-1]\n";
}

WarmUpInput Sample(const std::string& input, const std::string& root = "") {
  const absl::StatusOr<ModelConfig> config = ModelConfig::Parse(Toml(input, root));
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? config->signature.inputs[0].warmup : WarmUpInput{};
}

std::string Error(const std::string& input, const std::string& root = "") {
  return std::string(ModelConfig::Parse(Toml(input, root)).status().message());
}

TEST(WarmUpConfigTest, NothingSaidIsEmpty) {
  const WarmUpInput sample = Sample("dtype = \"FP32\"\nshape = [-1, -1]");
  EXPECT_THAT(sample.shape, SizeIs(0));
  EXPECT_THAT(sample.elements, SizeIs(0));
  EXPECT_THAT(sample.strings, SizeIs(0));
}

TEST(WarmUpConfigTest, ShapeFillsOpenDimensionsButTheRows) {
  EXPECT_THAT(Sample("dtype = \"FP32\"\nshape = [-1, 3, -1, -1]\nwarmup_shape = [-1, 3, 224, 320]").shape,
              ElementsAre(-1, 3, 224, 320));
  EXPECT_THAT(Sample("dtype = \"FP32\"\nshape = [-1]\nwarmup_shape = [7]", "batched = false").shape, ElementsAre(7));
  const std::string padded = "dtype = \"INT64\"\nshape = [-1, -1]\npad_to = [8]\n";
  EXPECT_THAT(Sample(padded + "warmup_shape = [-1, -1]").shape, ElementsAre(-1, -1));
  EXPECT_THAT(Error(padded + "warmup_shape = [-1, 8]"), HasSubstr("and the one that is padded"));
}

TEST(WarmUpConfigTest, ShapesThatDoNotAgreeAreErrors) {
  const std::string spec = "dtype = \"FP32\"\nshape = [-1, 3, -1]\n";
  for (const char* shape : {"[-1, 3]", "[-1, 4, 5]", "[2, 3, 5]", "[-1, 3, -1]", "[-1, 3, 0]", "[-1, 3, 5.0]", "5",
                            "[-1, 3, 4000000000]", "[]"}) {
    EXPECT_THAT(Error(spec + "warmup_shape = " + shape),
                HasSubstr("inputs[0].warmup_shape: expected the shape with extents for -1, but for the first"))
        << shape;
  }
}

TEST(WarmUpConfigTest, ValuesAreOfTheInputsType) {
  EXPECT_THAT(Sample("dtype = \"INT64\"\nshape = [-1, -1]\nwarmup_values = [101, 7592, 102]").elements,
              ElementsAre(*ToElement(DType::kInt64, int64_t{101}), *ToElement(DType::kInt64, int64_t{7592}),
                          *ToElement(DType::kInt64, int64_t{102})));
  EXPECT_THAT(Sample("dtype = \"FP32\"\nshape = [-1]\nwarmup_values = [0.5, 1]").elements,
              ElementsAre(*ToElement(DType::kFp32, 0.5), *ToElement(DType::kFp32, int64_t{1})));
  EXPECT_THAT(Sample("dtype = \"BYTES\"\nshape = [-1]\nwarmup_values = [\"a text\"]").strings, ElementsAre("a text"));
}

TEST(WarmUpConfigTest, ValuesThatTheInputCannotHaveAreErrors) {
  const std::string ranged = "dtype = \"INT32\"\nshape = [-1]\nrange = [0, 9]\n";
  for (const char* values : {"[10]", "[]", "5", "[\"a\"]", "[1.5]"}) {
    EXPECT_THAT(Error(ranged + "warmup_values = " + values),
                HasSubstr("inputs[0].warmup_values: expected a list of values that INT32 can hold, in range"))
        << values;
  }
  EXPECT_THAT(Error("dtype = \"BYTES\"\nshape = [-1]\nwarmup_values = [5]"), HasSubstr("inputs[0].warmup_values"));
}

}  // namespace
}  // namespace predictd
