#include "client/predictctl/print_tensor.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

std::string Text(const absl::StatusOr<v1::Tensor>& tensor, const PrintStyle& style = {},
                 const std::vector<std::int64_t>& marks = {}) {
  return *TensorText(*tensor, style, marks);
}

TEST(PrintTensorTest, ColumnsAreAligned) {
  EXPECT_EQ(Text(MakeTensor<float>("x", {2, 2}, {1, -2.5, 1000, 0.1F})), "[[   1, -2.5],\n [1000,  0.1]]");
}

TEST(PrintTensorTest, BlocksAreSeparatedByAnEmptyLine) {
  EXPECT_EQ(Text(MakeTensor<std::int8_t>("x", {2, 2, 1}, {1, 2, 3, 4})), "[[[1],\n  [2]],\n\n [[3],\n  [4]]]");
}

TEST(PrintTensorTest, EveryKindOfElementIsReadable) {
  EXPECT_EQ(Text(MakeTensor<bool>("x", {2}, {true, false})), "[ true, false]");
  EXPECT_EQ(Text(MakeTensor<std::uint64_t>("x", {}, {std::numeric_limits<std::uint64_t>::max()})),
            "18446744073709551615");
  EXPECT_EQ(Text(MakeTensor<double>("x", {2}, {std::numeric_limits<double>::quiet_NaN(), -1e300})),
            "[    nan, -1e+300]");
  EXPECT_EQ(Text(MakeTensor<Half>("x", {1}, {ToHalf(0.1F)})), "[0.09998]");
  EXPECT_EQ(Text(MakeBytesTensor("x", {2}, {"a\n", "\xff"})), R"([ "a\n", "\xff"])");
}

TEST(PrintTensorTest, MoreDimensionsThanAnyTensorHasAreRefused) {
  const auto ones = [](std::size_t rank) { return *MakeTensor<bool>("x", std::vector<std::int64_t>(rank, 1), {true}); };
  EXPECT_EQ(Text(ones(64)), std::string(64, '[') + "true" + std::string(64, ']'));
  EXPECT_EQ(TensorText(ones(1'000'000), {}, {}).status().message(),
            "output 'x' has 1000000 dimensions: too many to print");
}

TEST(PrintTensorTest, StringsAreShownAsTheTextThatTheyAre) {
  EXPECT_EQ(Text(MakeBytesTensor("x", {3}, {"Grüße", "\"\\", "a"})), R"(["Grüße",  "\"\\",     "a"])");
  EXPECT_EQ(Text(MakeBytesTensor("x", {}, {"\x1b[2J\xc2\x9b"})), R"("\x1b[2J\u009b")") << "nothing moves the cursor";
}

TEST(PrintTensorTest, LongStringsShowTheirBeginning) {
  EXPECT_EQ(Text(MakeBytesTensor("x", {}, {"abcdefgh"}), {.abbreviate_above = 5}), R"("abcde" and 3 bytes)");
  EXPECT_EQ(Text(MakeBytesTensor("x", {}, {"abcd\xc3\xbc"}), {.abbreviate_above = 5}), R"("abcd" and 2 bytes)");
  EXPECT_EQ(Text(MakeBytesTensor("x", {}, {"abcde"}), {.abbreviate_above = 5}), R"("abcde")");
}

TEST(PrintTensorTest, TellsWhatIsLeftOut) {
  EXPECT_TRUE(IsAbbreviated({1, 384}, {}));
  EXPECT_FALSE(IsAbbreviated({1, 384}, {.abbreviate_above = 384}));
  EXPECT_FALSE(IsAbbreviated({2, 10}, {}));
  EXPECT_FALSE(IsAbbreviated({7, 7, 7}, {})) << "nothing is shorter without its middle";
}

TEST(PrintTensorTest, MarksStandBesideTheirRows) {
  EXPECT_EQ(Text(MakeTensor<float>("x", {2, 2}, {1, 2, 4, 3}), {}, {1, 0}), "[[1, 2] -> 1,\n [4, 3] -> 0]");
}

TEST(PrintTensorTest, LargeTensorsShowTheirEnds) {
  std::vector<std::int32_t> values(400);
  std::iota(values.begin(), values.end(), 0);
  std::vector<std::int64_t> marks(20);
  std::iota(marks.begin(), marks.end(), 100);
  EXPECT_EQ(Text(MakeTensor<std::int32_t>("x", {20, 20}, values), {.abbreviate_above = 399, .edge = 1}, marks),
            "[[  0, ...,  19] -> 100,\n ...,\n [380, ..., 399] -> 119]");
  const std::string whole = Text(MakeTensor<std::int32_t>("x", {20, 20}, values), {.abbreviate_above = 400});
  EXPECT_EQ(whole.find("..."), std::string::npos);
}

TEST(PrintTensorTest, LongLinesAreBroken) {
  EXPECT_EQ(Text(MakeTensor<std::int8_t>("x", {5}, {1, 2, 3, 4, 5}), {.line_width = 8}), "[1, 2,\n 3, 4,\n 5]");
}

TEST(PrintTensorTest, EmptyTensorsArePrintedAtOnce) {
  EXPECT_EQ(Text(MakeTensor<float>("x", {std::int64_t{1} << 60, 0}, {})), "[]");
}

TEST(PrintTensorTest, MalformedTensorsAreRefused) {
  v1::Tensor tensor = *MakeTensor<float>("x", {2}, {1, 2});
  tensor.set_shape(0, 3);
  EXPECT_TRUE(absl::IsInvalidArgument(TensorText(tensor, {}, {}).status()));
}

}  // namespace
}  // namespace predictd
