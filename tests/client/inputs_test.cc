#include "client/predictctl/inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "client/predictctl/npy.h"
#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Model ModelWith(const std::vector<std::pair<std::string, v1::DataType>>& inputs) {
  v1::Model model;
  model.set_name("m");
  for (const auto& [name, type] : inputs) {
    v1::TensorSpec* spec = model.add_inputs();
    spec->set_name(name);
    spec->set_dtype(type);
  }
  return model;
}

class InputsTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    std::string path = ::testing::TempDir() + "predictctl_inputs_" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  absl::StatusOr<std::vector<Input>> ReadSpec(const std::string& spec) { return ReadInputs({spec}, {}, stdin_); }

  std::string MessageForSpec(const std::string& spec) { return std::string(ReadSpec(spec).status().message()); }

  std::istringstream stdin_;
};

TEST_F(InputsTest, NamesAreToldFromSources) {
  stdin_.str("[9]");
  EXPECT_EQ(ReadSpec("x=[1]")->front().name, "x");
  EXPECT_EQ(ReadSpec("[1]")->front().name, "");
  EXPECT_EQ(ReadSpec("-1")->front().name, "");
  EXPECT_EQ(ReadSpec("true")->front().name, "");
  EXPECT_EQ(ReadSpec("[\"a=b\"]")->front().name, "");
  EXPECT_EQ(ReadSpec("x=\"a=b\"")->front().name, "x");
  EXPECT_EQ(ReadSpec("x=@-")->front().name, "x");
}

TEST_F(InputsTest, ADashIsStandardInputAndIsReadOnce) {
  for (const auto& [spec, name] : {std::pair("-", ""), std::pair("x=-", "x"), std::pair("@-", "")}) {
    stdin_.clear();
    stdin_.str("[9]");
    EXPECT_EQ(ReadSpec(spec)->front().name, name);
  }
  stdin_.clear();
  stdin_.str("[9]");
  EXPECT_EQ(ReadInputs({"x=-", "y=-"}, {}, stdin_).status().message(), "--input y=-: standard input was already read");
  stdin_.clear();
  stdin_.str("[9]");
  EXPECT_EQ(ReadInputs({"x=-"}, {"-"}, stdin_).status().message(), "--json-input -: standard input was already read");
}

TEST_F(InputsTest, ArraysAreCastToTheTypeOfTheSignature) {
  const std::string path = Write("cast.npy", *FormatNpy(*MakeTensor<double>("", {2, 1}, {1, 2})));
  const v1::Model model = ModelWith({{"x", v1::DATA_TYPE_INT64}});
  const std::vector<v1::Tensor> tensors = *ResolveInputs(*ReadSpec("@" + path), model, RowRange{1, 2}, /*cast=*/true);
  EXPECT_THAT(*TensorValues<std::int64_t>(tensors[0]), ElementsAre(2));
  const std::string wrong = Write("wrong.npy", *FormatNpy(*MakeTensor<double>("", {2, 1}, {1, 2.5})));
  EXPECT_EQ(ResolveInputs(*ReadSpec("x=@" + wrong), model, std::nullopt, true).status().message(),
            "input 'x': at [1][0]: INT64 cannot hold 2.5");
  EXPECT_THAT(std::string(ResolveInputs(*ReadSpec("z=@" + path), model, std::nullopt, true).status().message()),
              HasSubstr("no input 'z'"));
}

TEST_F(InputsTest, ArraysKeepTheirTypeAndNeedNoSignature) {
  const std::string path = Write("array.npy", *FormatNpy(*MakeTensor<double>("", {2, 1}, {1, 2})));
  const absl::StatusOr<std::vector<Input>> inputs = ReadSpec("x=@" + path);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_FALSE(NeedSignature(*inputs));
  const std::vector<v1::Tensor> tensors = *ResolveInputs(*inputs, v1::Model(), std::nullopt);
  EXPECT_EQ(tensors[0].name(), "x");
  EXPECT_THAT(*TensorValues<double>(tensors[0]), ElementsAre(1, 2));
}

TEST_F(InputsTest, JsonTakesTheTypeOfTheSignature) {
  const std::string path = Write("values.json", "[[1, 2]]");
  const absl::StatusOr<std::vector<Input>> inputs = ReadSpec("x=@" + path);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_TRUE(NeedSignature(*inputs));
  const std::vector<v1::Tensor> tensors =
      *ResolveInputs(*inputs, ModelWith({{"w", v1::DATA_TYPE_BOOL}, {"x", v1::DATA_TYPE_INT16}}), std::nullopt);
  EXPECT_THAT(*TensorValues<std::int16_t>(tensors[0]), ElementsAre(1, 2));
}

TEST_F(InputsTest, StandardInputHoldsAnObjectOfInputs) {
  stdin_.str(R"({"a": [1], "b": [true]})");
  const absl::StatusOr<std::vector<Input>> inputs = ReadInputs({}, {"-"}, stdin_);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const std::vector<v1::Tensor> tensors =
      *ResolveInputs(*inputs, ModelWith({{"a", v1::DATA_TYPE_UINT8}, {"b", v1::DATA_TYPE_BOOL}}), std::nullopt);
  ASSERT_EQ(tensors.size(), 2);
  EXPECT_EQ(tensors[0].name(), "a");
  EXPECT_EQ(tensors[1].dtype(), v1::DATA_TYPE_BOOL);
}

TEST_F(InputsTest, OnlyInputOfAModelNeedsNoName) {
  const std::vector<Input> inputs = *ReadSpec("[[1, 2], [3, 4], [5, 6]]");
  const std::vector<v1::Tensor> tensors =
      *ResolveInputs(inputs, ModelWith({{"x", v1::DATA_TYPE_FP32}}), RowRange{1, 2});
  EXPECT_EQ(tensors[0].name(), "x");
  EXPECT_THAT(*TensorValues<float>(tensors[0]), ElementsAre(3, 4));
  const absl::Status two =
      ResolveInputs(inputs, ModelWith({{"x", v1::DATA_TYPE_FP32}, {"y", v1::DATA_TYPE_FP32}}), std::nullopt).status();
  EXPECT_THAT(std::string(two.message()), HasSubstr("inputs 'x', 'y'"));
}

TEST_F(InputsTest, ErrorsNameTheInput) {
  const v1::Model model = ModelWith({{"x", v1::DATA_TYPE_INT8}});
  const auto message_for = [&](const std::string& spec, std::optional<RowRange> rows) {
    return std::string(ResolveInputs(*ReadSpec(spec), model, rows).status().message());
  };
  EXPECT_THAT(message_for("z=[1]", std::nullopt), HasSubstr("no input 'z', only 'x'"));
  EXPECT_THAT(message_for("x=[300]", std::nullopt), HasSubstr("input 'x': at [0]"));
  EXPECT_THAT(message_for("x=[1]", RowRange{0, 2}), HasSubstr("input 'x': rows 0:2"));
}

TEST_F(InputsTest, WhatCannotBeReadIsNamed) {
  EXPECT_THAT(MessageForSpec("x=@/nonexistent/a.npy"),
              HasSubstr("x=@/nonexistent/a.npy: cannot be read: No such file"));
  EXPECT_THAT(MessageForSpec("x=@" + ::testing::TempDir()), HasSubstr("Is a directory"));
  EXPECT_THAT(MessageForSpec("x=@" + Write("text.npy", "[1]")), HasSubstr("not an .npy file"));
  EXPECT_THAT(MessageForSpec("x=[1"), HasSubstr("--input x=[1: not JSON"));
  EXPECT_THAT(MessageForSpec("nonsense"), HasSubstr("not JSON"));
  EXPECT_THAT(MessageForSpec(""), HasSubstr("not JSON"));
  EXPECT_EQ(MessageForSpec("x=[1,"),
            "--input x=[1,: not JSON: parse error at line 1, column 4: syntax error while parsing value - unexpected "
            "end of input; expected '[', '{', or a literal");
  EXPECT_THAT(MessageForSpec("x=a.npy"), HasSubstr("a file is written @a.npy"));
  EXPECT_THAT(MessageForSpec("x=@" + Write("a.npz", std::string("PK\x03\x04\0\0", 6))),
              HasSubstr("zip archive, as .npz"));
  EXPECT_THAT(MessageForSpec("x=@" + Write("b.npy", std::string("PK\x03\x04\0\0", 6))),
              HasSubstr("zip archive, as .npz"));
  EXPECT_THAT(MessageForSpec("x=@" + Write("a.png", "\x89PNG\r\n")), HasSubstr("a PNG image"));
  EXPECT_THAT(MessageForSpec("x=@" + Write("a.bin", std::string("\1\2\0", 3))),
              HasSubstr("neither an .npy file nor JSON"));
  EXPECT_THAT(MessageForSpec("x=@" + Write("empty.npy", "")), HasSubstr("there is nothing in it"));
  stdin_.str("[1]");
  EXPECT_THAT(std::string(ReadInputs({}, {"-"}, stdin_).status().message()), HasSubstr("expected an object"));
}

TEST_F(InputsTest, LargeFilesAreReadWhole) {
  const std::vector<double> values(100'000, 0.5);
  const std::string path = Write("large.npy", *FormatNpy(*MakeTensor<double>("", {100'000}, values)));
  EXPECT_EQ(std::get<v1::Tensor>(ReadSpec("@" + path)->front().value).shape(0), 100'000);
}

}  // namespace
}  // namespace predictd
