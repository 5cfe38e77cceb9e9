#include "server/rpc/status.h"

#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <grpcpp/test/server_context_test_spouse.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/async/retry_advice.h"
#include "tests/telemetry/captured_stderr.h"

namespace predictd {
namespace {

constexpr char kScrubbed[] = "the model failed; the server's log has the cause under error id ";

absl::Status BadRequest() {
  google::rpc::BadRequest detail;
  google::rpc::BadRequest::FieldViolation& violation = *detail.add_field_violations();
  violation.set_field("inputs[0]");
  violation.set_description("wrong");
  absl::Status status = absl::InvalidArgumentError("inputs[0]: wrong");
  AttachDetail(detail, status);
  return status;
}

// What gRPC sends in `grpc-status-details-bin`.
google::rpc::Status Details(const grpc::Status& status) {
  google::rpc::Status rpc;
  EXPECT_TRUE(rpc.ParseFromString(status.error_details()));
  return rpc;
}

class StatusTest : public testing::Test {
 protected:
  std::multimap<std::string, std::string> Trailers() {
    return grpc::testing::ServerContextTestSpouse(&context_).GetTrailingMetadata();
  }

  grpc::ServerContext context_;
};

TEST_F(StatusTest, OkStaysOk) {
  const grpc::Status status = ToGrpcStatus(absl::OkStatus(), context_);
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.error_details(), "");
  EXPECT_TRUE(Trailers().empty());
  EXPECT_EQ(ToRpcStatus(absl::OkStatus()).ShortDebugString(), "");
}

TEST_F(StatusTest, CodesAndMessagesPassUnchangedButForThoseOfTheModel) {
  CapturedStderr captured;
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "what to do");
    const grpc::Status sent = ToGrpcStatus(status, context_);
    EXPECT_EQ(static_cast<int>(sent.error_code()), code);
    const bool scrubbed = absl::IsInternal(status) || absl::IsUnknown(status);
    EXPECT_EQ(sent.error_message() == "what to do", !scrubbed) << sent.error_message();
    EXPECT_EQ(sent.error_details(), "") << "nothing to add";
  }
}

TEST_F(StatusTest, FieldErrorsTravelAsADetail) {
  const grpc::Status sent = ToGrpcStatus(BadRequest(), context_);
  EXPECT_EQ(sent.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const google::rpc::Status rpc = Details(sent);
  EXPECT_EQ(rpc.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(rpc.message(), "inputs[0]: wrong");
  ASSERT_EQ(rpc.details_size(), 1);
  google::rpc::BadRequest detail;
  ASSERT_TRUE(rpc.details(0).UnpackTo(&detail));
  EXPECT_EQ(detail.field_violations(0).field(), "inputs[0]");
}

TEST_F(StatusTest, WhatIsOfNoUseToRepeatSaysSoInATrailerAlone) {
  const grpc::Status sent = ToGrpcStatus(WithoutRetry(absl::UnavailableError("broken")), context_);
  EXPECT_EQ(sent.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(sent.error_details(), "");
  EXPECT_EQ(Trailers(), (std::multimap<std::string, std::string>{{"grpc-retry-pushback-ms", "-1"}}));
}

TEST_F(StatusTest, RetryAdviceTravelsAsADetailAndAsATrailer) {
  const absl::Status status = WithRetryAfter(absl::ResourceExhaustedError("full"), absl::Milliseconds(2750));
  const grpc::Status sent = ToGrpcStatus(status, context_);
  const google::rpc::Status rpc = Details(sent);
  ASSERT_EQ(rpc.details_size(), 1);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(rpc.details(0).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  EXPECT_EQ(retry.retry_delay().nanos(), 750'000'000);
  const std::multimap<std::string, std::string> expected = {{"grpc-retry-pushback-ms", "2750"}};
  EXPECT_EQ(Trailers(), expected);
}

TEST_F(StatusTest, SeveralDetailsTravelTogether) {
  const absl::Status status = WithRetryAfter(BadRequest(), absl::Seconds(1));
  EXPECT_EQ(Details(ToGrpcStatus(status, context_)).details_size(), 2);
}

TEST_F(StatusTest, PayloadsThatAreNoDetailsStayInside) {
  absl::Status status = absl::NotFoundError("what");
  status.SetPayload("predictd/anything", absl::Cord("internal"));
  EXPECT_EQ(ToGrpcStatus(status, context_).error_details(), "");
}

TEST_F(StatusTest, CauseOfAModelFailureIsInTheLogUnderTheIdThatTheCallerGets) {
  CapturedStderr captured;
  const grpc::Status sent = ToGrpcStatus(absl::InternalError("secret /path: bad tensor"), context_);
  const std::string log = captured.Finish();
  ASSERT_EQ(sent.error_message().rfind(kScrubbed, 0), 0U) << sent.error_message();
  const std::string id = sent.error_message().substr(sizeof(kScrubbed) - 1);
  EXPECT_EQ(id.size(), 16U);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
  EXPECT_NE(log.find(id), std::string::npos) << log;
  EXPECT_NE(log.find("secret /path: bad tensor"), std::string::npos) << log;
}

TEST_F(StatusTest, EveryFailureHasItsOwnIdUntilThereAreTooMany) {
  CapturedStderr captured;
  std::set<std::string> messages;
  for (int i = 0; i < 5; ++i) messages.insert(ToRpcStatus(absl::UnknownError("cause"), "often").message());
  EXPECT_EQ(messages.size(), 5U);
  for (int i = 0; i < 100; ++i) messages.insert(ToRpcStatus(absl::UnknownError("cause"), "often").message());
  EXPECT_LT(messages.size(), 50U);
  EXPECT_THAT(messages, testing::Contains(testing::HasSubstr("too many failures")));
  // Failures of another model still get their error ids.
  EXPECT_THAT(ToRpcStatus(absl::UnknownError("cause"), "seldom").message(), testing::HasSubstr("under error id"));
  captured.Finish();
}

TEST_F(StatusTest, LongOrInvalidTextIsCutAndRepaired) {
  std::string text(10'000, 'x');
  text.push_back('\xff');
  const grpc::Status sent = ToGrpcStatus(absl::NotFoundError(text), context_);
  EXPECT_EQ(sent.error_message(), std::string(512, 'x'));
  EXPECT_EQ(ToRpcStatus(absl::NotFoundError("a\xff")).message(), "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace predictd
