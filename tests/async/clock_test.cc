#include "server/async/clock.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

constexpr TimePoint kNow(std::chrono::hours(1000));

TEST(SaturatingAddTest, AddsWhatFits) {
  EXPECT_EQ(SaturatingAdd(kNow, std::chrono::hours(1)), TimePoint(std::chrono::hours(1001)));
  EXPECT_EQ(SaturatingAdd(kNow, std::chrono::hours(-1)), TimePoint(std::chrono::hours(999)));
  EXPECT_EQ(SaturatingAdd(kNow, Duration::zero()), kNow);
}

TEST(SaturatingAddTest, TheLastMomentThatFitsIsExact) {
  const Duration left = TimePoint::max() - kNow;
  EXPECT_EQ(SaturatingAdd(kNow, left - Duration(1)), TimePoint::max() - Duration(1));
  EXPECT_EQ(SaturatingAdd(kNow, left), kNever);
}

TEST(SaturatingAddTest, BeyondTheLastMomentIsNever) {
  EXPECT_EQ(SaturatingAdd(kNow, Duration::max()), kNever);
  EXPECT_EQ(SaturatingAdd(kNow, TimePoint::max() - kNow + Duration(1)), kNever);
  EXPECT_EQ(SaturatingAdd(kNever, std::chrono::nanoseconds(1)), kNever);
  EXPECT_EQ(SaturatingAdd(kNever, Duration::max()), kNever);
}

TEST(SaturatingAddTest, BeforeTheFirstMomentIsTheFirst) {
  EXPECT_EQ(SaturatingAdd(TimePoint::min(), Duration(-1)), TimePoint::min());
  EXPECT_EQ(SaturatingAdd(TimePoint(-Duration::max()), Duration::min()), TimePoint::min());
}

static_assert(SaturatingAdd(kNow, Duration::max()) == kNever, "usable in constant expressions");

}  // namespace
}  // namespace predictd
