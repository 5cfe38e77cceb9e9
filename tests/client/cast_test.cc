#include "client/predictctl/cast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;

template <typename To, typename From>
std::vector<To> Cast(std::vector<From> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  const absl::StatusOr<v1::Tensor> cast = CastTensor(*MakeTensor<From>("x", {count}, values), kDataTypeOf<To>);
  EXPECT_TRUE(cast.ok()) << cast.status();
  return cast.ok() ? *TensorValues<To>(*cast) : std::vector<To>();
}

template <typename To, typename From>
std::string ErrorOf(From value) {
  return std::string(CastTensor(*MakeTensor<From>("x", {1, 1}, {value}), kDataTypeOf<To>).status().message());
}

TEST(CastTest, EveryTypeOfNumberBecomesEveryOther) {
  EXPECT_THAT((Cast<std::int64_t, double>({-1, 2})), ElementsAre(-1, 2));
  EXPECT_THAT((Cast<float, std::int64_t>({-1, 2})), ElementsAre(-1, 2));
  EXPECT_THAT((Cast<std::uint8_t, std::int64_t>({0, 255})), ElementsAre(0, 255));
  EXPECT_THAT((Cast<double, float>({0.5F})), ElementsAre(0.5));
  EXPECT_THAT((Cast<bool, std::int64_t>({0, 1})), ElementsAre(false, true));
  EXPECT_THAT(*TensorValues<float>(*CastTensor(*MakeTensor<bool>("x", {2}, {false, true}), v1::DATA_TYPE_FP32)),
              ElementsAre(0, 1));
  EXPECT_EQ((Cast<Half, double>({1.5}))[0].bits, ToHalf(1.5F).bits);
  EXPECT_EQ((Cast<BFloat16, float>({-2}))[0].bits, ToBFloat16(-2).bits);
  EXPECT_THAT((Cast<double, Half>({ToHalf(0.25F)})), ElementsAre(0.25));
}

TEST(CastTest, OnlyFloatsAreRounded) {
  EXPECT_THAT((Cast<float, double>({0.1, 1e-300})), ElementsAre(0.1F, 0));
  EXPECT_THAT((Cast<float, std::int64_t>({(1 << 24) + 1})), ElementsAre(1 << 24));
  EXPECT_EQ((ErrorOf<std::int32_t, double>(2.5)), "at [0][0]: INT32 cannot hold 2.5");
  EXPECT_EQ((ErrorOf<bool, std::int64_t>(2)), "at [0][0]: BOOL cannot hold 2");
}

TEST(CastTest, WhatIsBeyondTheRangeIsRefused) {
  using Limits = std::numeric_limits<std::int64_t>;
  EXPECT_NE((ErrorOf<std::int8_t, std::int64_t>(128)), "");
  EXPECT_NE((ErrorOf<std::uint64_t, std::int64_t>(-1)), "");
  EXPECT_NE((ErrorOf<std::int64_t, double>(std::ldexp(1.0, 63))), "");
  EXPECT_EQ((ErrorOf<std::int64_t, double>(-std::ldexp(1.0, 63))), "");
  EXPECT_NE((ErrorOf<std::uint64_t, double>(std::ldexp(1.0, 64))), "");
  EXPECT_NE((ErrorOf<std::int64_t, std::uint64_t>(std::uint64_t{1} << 63)), "");
  EXPECT_NE((ErrorOf<float, double>(1e300)), "");
  EXPECT_NE((ErrorOf<Half, float>(65520)), "");
  EXPECT_NE((ErrorOf<std::int64_t, double>(std::nan(""))), "");
  EXPECT_THAT((Cast<std::uint64_t, std::int64_t>({Limits::max()})),
              ElementsAre(static_cast<std::uint64_t>(Limits::max())));
}

TEST(CastTest, WhatIsNoNumberStaysNone) {
  EXPECT_TRUE(std::isnan((Cast<float, double>({std::nan("")}))[0]));
  EXPECT_THAT((Cast<double, float>({std::numeric_limits<float>::infinity()})),
              ElementsAre(std::numeric_limits<double>::infinity()));
}

TEST(CastTest, StringsAreNoNumbers) {
  const v1::Tensor strings = *MakeBytesTensor("x", {1}, {"1"});
  EXPECT_EQ(CastTensor(strings, v1::DATA_TYPE_FP32).status().message(), "BYTES cannot be cast to FP32");
  EXPECT_EQ(CastTensor(*MakeTensor<float>("x", {1}, {1}), v1::DATA_TYPE_BYTES).status().message(),
            "at [0]: numbers cannot be cast to BYTES");
  EXPECT_TRUE(CastTensor(strings, v1::DATA_TYPE_BYTES).ok());
}

TEST(CastTest, AnEmptyArrayIsCastToNoTypeThatOthersAreNot) {
  const v1::Tensor empty = *MakeTensor<float>("x", {0, 3}, {});
  EXPECT_EQ(CastTensor(empty, v1::DATA_TYPE_BYTES).status().message(), "FP32 cannot be cast to BYTES");
  EXPECT_TRUE(absl::IsInvalidArgument(CastTensor(empty, v1::DATA_TYPE_UNSPECIFIED).status()));
  EXPECT_EQ(CastTensor(empty, v1::DATA_TYPE_INT8)->dtype(), v1::DATA_TYPE_INT8);
}

}  // namespace
}  // namespace predictd
