#include "client/predictctl/row_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;

TEST(RowRangeTest, EndsMayBeLeftOut) {
  EXPECT_EQ(*ParseRowRange("2:5"), (RowRange{2, 5}));
  EXPECT_EQ(*ParseRowRange("2:"), (RowRange{2, std::nullopt}));
  EXPECT_EQ(*ParseRowRange(":5"), (RowRange{0, 5}));
  EXPECT_EQ(*ParseRowRange("3:3"), (RowRange{3, 3}));
}

TEST(RowRangeTest, OtherTextIsRefused) {
  for (const char* text : {"", "3", "5:2", "-1:", ":-1", "a:b", "1:2:3", "1.5:2", "0:99999999999999999999"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRowRange(text).status())) << text;
  }
}

TEST(RowRangeTest, KeepsTheRowsOfNumbers) {
  const v1::Tensor tensor = *RowsOf({1, std::nullopt}, *MakeTensor<std::int16_t>("x", {3, 2}, {0, 1, 10, 11, 20, 21}));
  EXPECT_EQ(tensor.name(), "x");
  EXPECT_THAT(tensor.shape(), ElementsAre(2, 2));
  EXPECT_THAT(*TensorValues<std::int16_t>(tensor), ElementsAre(10, 11, 20, 21));
}

TEST(RowRangeTest, KeepsTheRowsOfBytes) {
  v1::Tensor tensor = *RowsOf({1, 2}, *MakeBytesTensor("x", {3, 2}, {"a", "bb", "", "dd", "e", "f"}));
  ASSERT_TRUE(EncodeTyped(tensor).ok());
  EXPECT_THAT(tensor.bytes_values(), ElementsAre("", "dd"));
}

TEST(RowRangeTest, MayKeepNothing) {
  const v1::Tensor tensor = *RowsOf({2, std::nullopt}, *MakeTensor<float>("x", {2, 1}, {1, 2}));
  EXPECT_THAT(tensor.shape(), ElementsAre(0, 1));
  EXPECT_TRUE(CheckRaw(tensor).ok());
  EXPECT_TRUE(RowsOf({0, 0}, tensor).ok());
}

TEST(RowRangeTest, RowsThatAreNotThereAreRefused) {
  const v1::Tensor tensor = *MakeTensor<float>("x", {2}, {1, 2});
  EXPECT_TRUE(absl::IsInvalidArgument(RowsOf({0, 3}, tensor).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RowsOf({3, std::nullopt}, tensor).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RowsOf({0, 1}, *MakeTensor<float>("x", {}, {1})).status()));
}

}  // namespace
}  // namespace predictd
