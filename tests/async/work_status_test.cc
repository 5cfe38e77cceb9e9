#include "server/async/work_status.h"

#include <gtest/gtest.h>

#include <ostream>

#include "server/async/retry_advice.h"

namespace predictd {
namespace {

struct StopCase {
  StopReason reason;
  absl::StatusCode code;
  const char* message;
  bool retry = false;
};

std::ostream& operator<<(std::ostream& out, const StopCase& c) {
  return out << static_cast<int>(c.reason);
}

class StopStatusTest : public testing::TestWithParam<StopCase> {};

TEST_P(StopStatusTest, HasTheCodeAndSaysWhere) {
  const absl::Status status = StopStatus(GetParam().reason, "the queue");
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_EQ(status.message(), GetParam().message);
  EXPECT_EQ(RetryAfter(status).has_value(), GetParam().retry);
}

INSTANTIATE_TEST_SUITE_P(
    Table, StopStatusTest,
    testing::Values(
        StopCase{StopReason::kNone, absl::StatusCode::kOk, ""},
        StopCase{StopReason::kDeadline, absl::StatusCode::kDeadlineExceeded, "the deadline passed in the queue"},
        StopCase{StopReason::kCancelled, absl::StatusCode::kCancelled,
                 "the caller went away; the request was in the queue"},
        StopCase{StopReason::kDraining, absl::StatusCode::kUnavailable,
                 "the server shuts down; the request was in the queue", true},
        StopCase{StopReason::kStalled, absl::StatusCode::kResourceExhausted, "the reader took too little for too long"},
        StopCase{StopReason::kUnsent, absl::StatusCode::kDeadlineExceeded, "the request took too long to arrive"},
        StopCase{StopReason::kTooLarge, absl::StatusCode::kResourceExhausted,
                 "a request of this connection is larger than --max-message-bytes of the server"},
        StopCase{StopReason::kNoRoom, absl::StatusCode::kResourceExhausted,
                 "requests that are on their way take too much memory", true},
        StopCase{StopReason::kFailed, absl::StatusCode::kCancelled,
                 "another part of the call failed; this one was in the queue"}));

}  // namespace
}  // namespace predictd
