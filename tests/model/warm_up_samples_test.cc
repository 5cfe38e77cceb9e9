// Tests the [[warmup_samples]] of a model.toml.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/model_config.h"
#include "tests/fakes/npy_file.h"
#include "tests/fakes/temp_folder.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kSignature[] = R"(
[[inputs]]
name = "image"
dtype = "FP32"
shape = [-1, 2, -1]
warmup_shape = [-1, 2, 9]
[[inputs]]
name = "tokens"
dtype = "INT64"
shape = [-1, -1]
range = [0, 99]
pad_to = [4, 8]
[[inputs]]
name = "text"
dtype = "BYTES"
shape = [-1]
[[inputs]]
name = "mask"
dtype = "BOOL"
shape = [-1, -1]
mask_of = "tokens"
[[outputs]]
name = "y"
dtype = "FP32"
shape = [-1]
)";

class WarmUpSamplesTest : public testing::Test {
 protected:
  absl::StatusOr<ModelConfig> Parse(const std::string& samples) const {
    return ModelConfig::Parse(kSignature + samples, folder_.path() / "m");
  }

  // Of one sample with that line.
  absl::StatusOr<ModelConfig> ParseLine(const std::string& line) const {
    return Parse("[[warmup_samples]]\n" + line + "\n");
  }
  std::string Error(const std::string& line) const {
    const absl::StatusOr<ModelConfig> config = ParseLine(line);
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << line;
    return std::string(config.status().message());
  }

  void WriteFile(const std::string& name, const std::string& content) const {
    folder_.Write("m/warmup/" + name, content);
  }

  const TempFolder folder_;
};

TEST_F(WarmUpSamplesTest, SayWhatInputsHold) {
  WriteFile("cat.npy", NpyArray<float>("<f4", "(1, 2, 3)", {1, 2, 3, 4, 5, 6}));
  const absl::StatusOr<ModelConfig> config = Parse(R"(
[[warmup_samples]]
inputs.image = {file = "cat.npy"}
inputs.text = {values = ["one", "two"]}
[[warmup_samples]]
inputs.image = {shape = [-1, 2, 5], values = [0.5]}
inputs.tokens = {random = [10, 20]}
)");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_THAT(config->signature.warmup_samples, SizeIs(2));
  EXPECT_TRUE(config->HasWarmUpFiles());
  const WarmUpSample& first = config->signature.warmup_samples[0];
  ASSERT_THAT(first, SizeIs(3));
  EXPECT_THAT(first[0].shape, ElementsAre(-1, 2, 3));
  EXPECT_THAT(Values(*first[0].array), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(first[1].shape, IsEmpty());
  EXPECT_FALSE(first[1].random.has_value());
  EXPECT_THAT(first[2].strings, ElementsAre("one", "two"));
  const WarmUpSample& second = config->signature.warmup_samples[1];
  EXPECT_THAT(second[0].shape, ElementsAre(-1, 2, 5));
  EXPECT_THAT(second[0].elements, ElementsAre(*ToElement(DType::kFp32, 0.5)));
  EXPECT_EQ(second[1].random->most, *ToElement(DType::kInt64, int64_t{20}));
}

TEST_F(WarmUpSamplesTest, WhatTheyDoNotSayIsAsTheInputsSay) {
  const absl::StatusOr<ModelConfig> config = Parse(R"(
[[warmup_samples]]
inputs.image = {values = [1]}
[[warmup_samples]]
inputs.tokens = {values = [1]}
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->signature.warmup_samples[0][0].shape, ElementsAre(-1, 2, 9));
  EXPECT_THAT(config->signature.warmup_samples[1][0].shape, ElementsAre(-1, 2, 9));
  EXPECT_THAT(config->signature.warmup_samples[1][0].elements, IsEmpty());
  EXPECT_FALSE(config->HasWarmUpFiles());
}

TEST_F(WarmUpSamplesTest, MistakesNameTheirKey) {
  const std::pair<const char*, const char*> mistakes[] = {
      {"", "warmup_samples[0].inputs: expected a table for each input"},
      {"inputs = {}", "warmup_samples[0].inputs: expected a table for each input"},
      {"input = {}", "warmup_samples[0].input: unknown key; known are inputs"},
      {"inputs.imgae = {values = [1]}",
       "warmup_samples[0].inputs.imgae: no input has this name (did you mean image?); the inputs are image, tokens, "
       "text"},
      {"inputs.mask = {values = [true]}", "inputs.mask: expected none, as the server makes the mask"},
      {"inputs.image = \"cat.npy\"", "inputs.image: expected a table for each input"},
      {"inputs.image = {value = [1]}", "inputs.image.value: unknown key; known are file, random, shape, values"},
      {"inputs.image = {values = [1], random = [0, 1]}", "inputs.image.random: expected none beside values"},
      {"inputs.image = {file = \"a.npy\", shape = [-1, 2, 3]}", "inputs.image.shape: expected none beside file"},
      {"inputs.image = {shape = [-1, 2, -1]}", "inputs.image.shape: expected the shape with extents for -1"},
      {"inputs.image = {shape = [-1, 2, 4000000000]}", "of at most 2147483648 elements"},
      {"inputs.image = {values = [\"a\"]}", "inputs.image.values: expected a list of values that FP32 can hold"},
      {"inputs.tokens = {values = [100]}",
       "inputs.tokens.values: expected a list of values that INT64 can hold, in range"},
      {"inputs.tokens = {random = [0, 100]}", "inputs.tokens.random: expected [least, most]"},
      {"inputs.tokens = {random = [20, 10]}", "inputs.tokens.random: expected [least, most]"},
      {"inputs.image = {random = [0, inf]}", "inputs.image.random: expected [least, most]"},
      {"inputs.image = {random = [0, nan]}", "inputs.image.random: expected [least, most]"},
      {"inputs.text = {random = [0, 1]}", "inputs.text.random: expected none, as BYTES has no order"},
      {"inputs.text = {file = \"a.npy\"}", "inputs.text.file: expected none, as no .npy file has texts"},
  };
  for (const auto& [line, message] : mistakes) EXPECT_THAT(Error(line), HasSubstr(message)) << line;
  EXPECT_THAT(std::string(Parse("warmup_samples = 5").status().message()),
              HasSubstr("outputs[0].warmup_samples: unknown key"));
  EXPECT_EQ(ModelConfig::Parse(std::string("warmup_samples = []") + kSignature).status().message(),
            "warmup_samples: expected 1 to 16 [[warmup_samples]] tables");
}

TEST_F(WarmUpSamplesTest, NamesThatLeadOutOfTheFolderAreErrors) {
  WriteFile("good.npy", NpyArray<float>("<f4", "(1, 2, 1)", {1, 2}));
  folder_.Write("outside.npy", NpyArray<float>("<f4", "(1, 2, 1)", {1, 2}));
  for (const char* name :
       {"../model.npy", "/etc/passwd", "sub/a.npy", ".hidden.npy", "a.npz", "..", "", "good.npy\\u0000.npy"}) {
    EXPECT_THAT(Error(absl::StrCat("inputs.image = {file = \"", name, "\"}")),
                HasSubstr("inputs.image.file: expected the name of an .npy file in the folder warmup of the model"))
        << name;
  }
  std::filesystem::create_symlink(folder_.path() / "outside.npy", folder_.path() / "m/warmup/link.npy");
  EXPECT_THAT(Error("inputs.image = {file = \"link.npy\"}"),
              HasSubstr("file: warmup/link.npy: it is a link that leads out of the model's folder"));
  std::filesystem::create_symlink("good.npy", folder_.path() / "m/warmup/inside.npy");
  EXPECT_TRUE(ParseLine("inputs.image = {file = \"inside.npy\"}").ok());
  std::filesystem::create_directory(folder_.path() / "m/warmup/folder.npy");
  EXPECT_THAT(Error("inputs.image = {file = \"folder.npy\"}"), HasSubstr("it is not a regular file"));
  EXPECT_THAT(Error("inputs.image = {file = \"missing.npy\"}"), HasSubstr("No such file"));
}

TEST_F(WarmUpSamplesTest, ArraysThatNoRequestCouldSendAreErrors) {
  WriteFile("rank.npy", NpyArray<float>("<f4", "(2, 3)", {1, 2, 3, 4, 5, 6}));
  WriteFile("extent.npy", NpyArray<float>("<f4", "(1, 3, 2)", {1, 2, 3, 4, 5, 6}));
  WriteFile("empty.npy", NpyArray<float>("<f4", "(0, 2, 1)", {}));
  WriteFile("type.npy", NpyArray<double>("<f8", "(1, 2, 1)", {1, 2}));
  WriteFile("range.npy", NpyArray<int64_t>("<i8", "(1, 3)", {1, 100, 3}));
  WriteFile("long.npy", NpyArray<int64_t>("<i8", "(1, 9)", std::vector<int64_t>(9)));
  EXPECT_THAT(
      Error("inputs.image = {file = \"rank.npy\"}"),
      HasSubstr("warmup_samples[0].inputs.image.file: warmup/rank.npy: expected the shape [-1,2,-1], got [2,3]"));
  EXPECT_THAT(Error("inputs.image = {file = \"extent.npy\"}"), HasSubstr("got [1,3,2]"));
  EXPECT_THAT(Error("inputs.image = {file = \"empty.npy\"}"), HasSubstr("got [0,2,1]"));
  EXPECT_THAT(Error("inputs.image = {file = \"type.npy\"}"), HasSubstr("got '<f8'"));
  EXPECT_THAT(Error("inputs.tokens = {file = \"range.npy\"}"), HasSubstr("element 1 is 100, which is not in range"));
  EXPECT_THAT(Error("inputs.tokens = {file = \"long.npy\"}"),
              HasSubstr("dimension 1 is 9, and the last length of pad_to 8"));
}

TEST_F(WarmUpSamplesTest, FilesOfASampleMustSuitEachOther) {
  WriteFile("one.npy", NpyArray<float>("<f4", "(1, 2, 1)", {1, 2}));
  WriteFile("two.npy", NpyArray<int64_t>("<i8", "(2, 3)", std::vector<int64_t>(6)));
  EXPECT_THAT(Error("inputs.image = {file = \"one.npy\"}\ninputs.tokens = {file = \"two.npy\"}"),
              HasSubstr("inputs.tokens.file: expected as many rows as the sample's other files have"));
}

TEST_F(WarmUpSamplesTest, AllFilesTogetherHaveALimit) {
  const std::string rows(40 << 20, '\0');
  WriteFile(
      "large.npy",
      NpyFile(absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows.size() / 8, ", 2, 1)}"), rows));
  const std::string sample = "[[warmup_samples]]\ninputs.image = {file = \"large.npy\"}\n";
  EXPECT_TRUE(Parse(sample).ok()) << Parse(sample).status();
  EXPECT_THAT(std::string(Parse(sample + sample).status().message()),
              HasSubstr("warmup_samples[1].inputs.image.file: warmup/large.npy: cannot be read: it has more than"));
}

TEST_F(WarmUpSamplesTest, LengthsThatArePaddedTogetherAreEqual) {
  const std::string signature = R"(
[[inputs]]
name = "a"
dtype = "INT64"
shape = [-1, -1]
pad_to = [4]
[[inputs]]
name = "b"
dtype = "INT64"
shape = [-1, -1]
pad_like = "a"
[[outputs]]
name = "y"
dtype = "FP32"
shape = [-1]
[[warmup_samples]]
inputs.a = {file = "two.npy"}
)";
  WriteFile("two.npy", NpyArray<int64_t>("<i8", "(1, 2)", {1, 2}));
  WriteFile("three.npy", NpyArray<int64_t>("<i8", "(1, 3)", {1, 2, 3}));
  const auto parse = [&](const char* file) {
    return ModelConfig::Parse(absl::StrCat(signature, "inputs.b = {file = \"", file, "\"}"), folder_.path() / "m");
  };
  EXPECT_TRUE(parse("two.npy").ok()) << parse("two.npy").status();
  EXPECT_THAT(std::string(parse("three.npy").status().message()),
              HasSubstr("inputs.b.file: expected the length of the files with which the input is padded"));
}

}  // namespace
}  // namespace predictd
