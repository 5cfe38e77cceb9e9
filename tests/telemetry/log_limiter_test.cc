#include "server/telemetry/log_limiter.h"

#include <gtest/gtest.h>

#include <chrono>

namespace predictd {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

TEST(LogLimiterTest, AdmitsTheBurstAndTellsHowManyWereHeldBackAfterThePeriod) {
  LogLimiter limiter(2, seconds(10));
  const steady_clock::time_point start(seconds(1000));
  EXPECT_EQ(limiter.Admit(start), 0U);
  EXPECT_EQ(limiter.Admit(start + seconds(1)), 0U);
  EXPECT_EQ(limiter.Admit(start + seconds(2)), std::nullopt);
  EXPECT_EQ(limiter.Admit(start + seconds(9)), std::nullopt);
  EXPECT_EQ(limiter.Admit(start + seconds(10)), 2U);
  EXPECT_EQ(limiter.Admit(start + seconds(11)), 0U);
  EXPECT_EQ(limiter.Admit(start + seconds(12)), std::nullopt);
}

}  // namespace
}  // namespace predictd
