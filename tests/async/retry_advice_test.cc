#include "server/async/retry_advice.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(RetryAdviceTest, ErrorCarriesItsDelayAndStaysTheSameOtherwise) {
  const absl::Status status = WithRetryAfter(absl::UnavailableError("later"), absl::Milliseconds(1500));
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(1500));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "later");
}

TEST(RetryAdviceTest, ErrorWithoutAdviceHasNone) {
  EXPECT_FALSE(RetryAfter(absl::UnavailableError("later")).has_value());
  EXPECT_FALSE(RetryAfter(absl::OkStatus()).has_value());
}

TEST(RetryAdviceTest, SuccessTakesNoAdvice) {
  EXPECT_FALSE(RetryAfter(WithRetryAfter(absl::OkStatus(), absl::Seconds(1))).has_value());
}

TEST(RetryAdviceTest, LastAdviceCounts) {
  const absl::Status once = WithRetryAfter(absl::UnavailableError("later"), absl::Seconds(1));
  EXPECT_EQ(RetryAfter(WithRetryAfter(once, absl::Seconds(2))), absl::Seconds(2));
  EXPECT_EQ(RetryAfter(once), absl::Seconds(1));
}

TEST(RetryAdviceTest, ErrorMayForbidToTryAgain) {
  const absl::Status status = WithoutRetry(absl::UnavailableError("never"));
  EXPECT_TRUE(RetryForbidden(status));
  EXPECT_FALSE(RetryAfter(status).has_value());
  EXPECT_EQ(status.message(), "never");
  EXPECT_FALSE(RetryForbidden(WithRetryAfter(status, absl::Seconds(1)))) << "the last advice counts";
  EXPECT_FALSE(RetryForbidden(absl::UnavailableError("later")));
  EXPECT_FALSE(RetryForbidden(absl::OkStatus()));
}

TEST(RetryAdviceTest, DelayIsInWholeMilliseconds) {
  EXPECT_EQ(RetryAfter(WithRetryAfter(absl::UnavailableError(""), absl::Microseconds(2900))), absl::Milliseconds(2));
  EXPECT_EQ(RetryAfter(WithRetryAfter(absl::UnavailableError(""), absl::ZeroDuration())), absl::ZeroDuration());
}

}  // namespace
}  // namespace predictd
