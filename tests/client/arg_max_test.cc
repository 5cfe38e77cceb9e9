#include "client/predictctl/arg_max.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;

TEST(ArgMaxTest, FindsTheLargestOfEachRow) {
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<float>("x", {2, 3}, {-3, -1, -2, 5, 5, 4})), ElementsAre(1, 0));
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<std::uint64_t>("x", {1, 2}, {1, std::uint64_t{1} << 63})), ElementsAre(1));
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<Half>("x", {1, 2}, {ToHalf(-1), ToHalf(-0.5)})), ElementsAre(1));
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<bool>("x", {1, 2}, {false, true})), ElementsAre(1));
}

TEST(ArgMaxTest, OtherRanksCountAsRowsToo) {
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<float>("x", {3}, {1, 3, 2})), ElementsAre(1));
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<float>("x", {2, 2, 2}, {0, 0, 0, 1, 1, 0, 0, 0})), ElementsAre(3, 0));
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<float>("x", {0, 2}, {})), ElementsAre());
}

TEST(ArgMaxTest, NanIsTheLargest) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(*ArgMaxOfRows(*MakeTensor<float>("x", {2, 3}, {1, nan, nan, nan, 9, 1})), ElementsAre(1, 0));
}

TEST(ArgMaxTest, WhatHasNoLargestIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(ArgMaxOfRows(*MakeBytesTensor("x", {1, 1}, {"a"})).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ArgMaxOfRows(*MakeTensor<float>("x", {}, {1})).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ArgMaxOfRows(*MakeTensor<float>("x", {2, 0}, {})).status()));
}

}  // namespace
}  // namespace predictd
