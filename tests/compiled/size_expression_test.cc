#include "server/compiled/size_expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace predictd {
namespace {

std::optional<int64_t> Value(absl::string_view text) {
  const std::optional<SizeExpression> expression = SizeExpression::Parse(text);
  if (!expression.has_value()) return std::nullopt;
  return expression->Evaluate({{"s0", 3}, {"s77", 10}});
}

TEST(SizeExpressionTest, IsWhatGeneratedCodeComputes) {
  EXPECT_EQ(Value("4L"), 4);
  EXPECT_EQ(Value("s77"), 10);
  EXPECT_EQ(Value("2L*s77 + 1L"), 21);
  EXPECT_EQ(Value("s0*s77"), 30);
  EXPECT_EQ(Value("(-1L) + s77"), 9);
  EXPECT_EQ(Value("-(s0 - s77)*2L"), 14);
  EXPECT_EQ(Value("s0*(s77 + 2LL)"), 36);
}

TEST(SizeExpressionTest, OtherOperationsAreUnknown) {
  for (const char* text : {"", "4L*", "s0 / 2L", "c10::div_floor_integer(s0, 2L)", "max(s0, 2L)", "(s0", "s0 s77",
                           "1.5", "99999999999999999999", "4611686018427387904L*2L"}) {
    EXPECT_FALSE(SizeExpression::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(SizeExpression::Parse(std::string(10'000, '(')).has_value());
}

TEST(SizeExpressionTest, ANumberIsAConstant) {
  EXPECT_EQ(SizeExpression::Parse("2L*3L")->constant(), 6);
  EXPECT_EQ(SizeExpression::Parse("s0 - s0")->constant(), 0);
  EXPECT_FALSE(SizeExpression::Parse("s0 + 1L")->constant().has_value());
}

TEST(SizeExpressionTest, OneSymbolIsLinear) {
  const auto linear = SizeExpression::Parse("2L*s39 + 1L")->linear();
  ASSERT_TRUE(linear.has_value());
  EXPECT_EQ(linear->symbol, "s39");
  EXPECT_EQ(linear->factor, 2);
  EXPECT_EQ(linear->offset, 1);
  for (const char* text : {"4L", "s0*s0", "s0 + s1", "-s0"}) {
    EXPECT_FALSE(SizeExpression::Parse(text)->linear().has_value()) << text;
  }
}

TEST(SizeExpressionTest, HasNoValueWithoutItsSymbols) {
  EXPECT_FALSE(Value("s1").has_value());
  EXPECT_FALSE(SizeExpression::Parse("s0*s0")->Evaluate({{"s0", int64_t{1} << 40}}).has_value()) << "too large";
}

}  // namespace
}  // namespace predictd
