#include "client/error_details.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/predictctl/call_report.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"
#include "google/rpc/error_details.pb.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

google::rpc::Status RichStatus() {
  google::rpc::BadRequest bad_request;
  for (const char* field : {"model_name", "inputs[0].shape"}) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(field);
    violation->set_description("wrong");
  }
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(2);
  retry.mutable_retry_delay()->set_nanos(500'000'000);
  google::rpc::Status status;
  status.set_code(3);
  status.set_message("bad");
  status.add_details()->PackFrom(google::rpc::DebugInfo());
  status.add_details()->PackFrom(bad_request);
  status.add_details()->PackFrom(retry);
  return status;
}

TEST(ErrorDetailsTest, ReadsTheMessagesBehindAStatus) {
  const ErrorDetails details = DetailsOf(RichStatus());
  EXPECT_EQ(details.code, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(details.message, "bad");
  EXPECT_THAT(details.field_violations,
              ElementsAre(FieldViolation{"model_name", "wrong"}, FieldViolation{"inputs[0].shape", "wrong"}));
  EXPECT_EQ(details.retry_after, absl::Milliseconds(2500));
  EXPECT_FALSE(details.retry_forbidden);
}

TEST(ErrorDetailsTest, PushbackWinsOverRetryInfo) {
  const absl::Status status = absl::UnavailableError("later");
  const std::string bin = RichStatus().SerializeAsString();
  EXPECT_EQ(DetailsOf(status, bin, "").retry_after, absl::Milliseconds(2500));
  EXPECT_EQ(DetailsOf(status, bin, "40").retry_after, absl::Milliseconds(40));
  EXPECT_EQ(DetailsOf(status, bin, "soon").retry_after, absl::Milliseconds(2500));
  const ErrorDetails never = DetailsOf(status, bin, "-1");
  EXPECT_TRUE(never.retry_forbidden);
  EXPECT_FALSE(never.retry_after.has_value());
}

TEST(ErrorDetailsTest, DetailsThatCannotBeReadLeaveTheStatus) {
  const ErrorDetails details = DetailsOf(absl::InternalError("broken"), "\xff\xff\xff", "");
  EXPECT_EQ(details.code, absl::StatusCode::kInternal);
  EXPECT_EQ(details.message, "broken");
  EXPECT_THAT(details.field_violations, IsEmpty());
  google::rpc::Status mislabelled = RichStatus();
  for (auto& any : *mislabelled.mutable_details()) any.set_value("\xff");
  EXPECT_THAT(DetailsOf(mislabelled).field_violations, IsEmpty());
}

TEST(ErrorDetailsTest, PeopleReadOneLinePerViolation) {
  EXPECT_EQ(ErrorText(DetailsOf(RichStatus()), "  "),
            "INVALID_ARGUMENT: bad\n  model_name: wrong\n  inputs[0].shape: wrong\n  try again in 2.5s\n");
  EXPECT_EQ(ErrorText({.code = absl::StatusCode::kAborted, .retry_forbidden = true}, "  "),
            "ABORTED\n  do not try again\n");
}

TEST(ErrorDetailsTest, ProgramsReadJson) {
  EXPECT_EQ(
      JsonLine(ErrorJson(DetailsOf(RichStatus()))),
      R"({"code":"INVALID_ARGUMENT","message":"bad","field_violations":[{"field":"model_name","description":"wrong"},)"
      R"({"field":"inputs[0].shape","description":"wrong"}],"retry_after_ms":2500.0})");
  EXPECT_EQ(JsonLine(ErrorJson({.code = absl::StatusCode::kAborted, .message = "\xff"})),
            "{\"code\":\"ABORTED\",\"message\":\"\xef\xbf\xbd\"}");
}

TEST(ErrorDetailsTest, ExitStatusFollowsTheCode) {
  EXPECT_EQ(ExitCodeOfCall(absl::OkStatus(), true), 0);
  EXPECT_EQ(ExitCodeOfCall(absl::InvalidArgumentError(""), false), 13);
  EXPECT_EQ(ExitCodeOfCall(absl::DeadlineExceededError(""), true), 14);
  EXPECT_EQ(ExitCodeOfCall(absl::UnavailableError(""), false), 24);
  EXPECT_EQ(ExitCodeOfCall(absl::CancelledError(""), false), 11);
  EXPECT_EQ(ExitCodeOfCall(absl::CancelledError(""), true), 130);
}

TEST(ErrorDetailsTest, CodesWithoutANameAreNumbers) {
  EXPECT_EQ(CodeName(absl::StatusCode::kDataLoss), "DATA_LOSS");
  EXPECT_EQ(CodeName(static_cast<absl::StatusCode>(77)), "77");
}

}  // namespace
}  // namespace predictd
