#include "server/telemetry/failure_limiter.h"

#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr FailureLimiter::Time kStart(seconds(1000));

TEST(FailureLimiterTest, EachModelAndCodeHasAFewASecond) {
  FailureLimiter limiter(2);
  for (const char* model : {"a", "b"}) {
    for (const char* code : {"INTERNAL", "NOT_FOUND"}) {
      EXPECT_TRUE(limiter.Admit(LogLevel::kInfo, model, code, kStart));
      EXPECT_TRUE(limiter.Admit(LogLevel::kInfo, model, code, kStart + milliseconds(999)));
      EXPECT_FALSE(limiter.Admit(LogLevel::kInfo, model, code, kStart + milliseconds(999)));
      EXPECT_TRUE(limiter.Admit(LogLevel::kInfo, model, code, kStart + seconds(1)));
    }
  }
}

TEST(FailureLimiterTest, WhatWasHeldBackIsToldOnceTheSecondIsOver) {
  FailureLimiter limiter(1);
  for (int i = 0; i < 5; ++i) limiter.Admit(LogLevel::kInfo, "a", "INTERNAL", kStart);
  limiter.Admit(LogLevel::kInfo, "b", "INTERNAL", kStart);
  EXPECT_TRUE(limiter.Take(kStart + milliseconds(999)).empty());
  const auto taken = limiter.Take(kStart + seconds(1));
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].model + " " + taken[0].code, "a INTERNAL");
  EXPECT_EQ(taken[0].count, 4U);
  EXPECT_TRUE(limiter.Take(kStart + seconds(2)).empty());
}

TEST(FailureLimiterTest, NamesFromOutsideShareOneLimitBeyondTheirNumber) {
  FailureLimiter limiter(1);
  for (size_t i = 0; i < FailureLimiter::kMaxPairs; ++i)
    EXPECT_TRUE(limiter.Admit(LogLevel::kInfo, std::to_string(i), "x", kStart));
  EXPECT_TRUE(limiter.Admit(LogLevel::kInfo, "one more", "x", kStart));
  EXPECT_FALSE(limiter.Admit(LogLevel::kInfo, "yet another", "y", kStart));
  EXPECT_FALSE(limiter.Admit(LogLevel::kInfo, "0", "x", kStart));
  ASSERT_EQ(limiter.Take(kStart + seconds(1)).size(), 2U);
}

}  // namespace
}  // namespace predictd
