#include "client/predictctl/call_hint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/predictctl/call_report.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;

std::string HintWithoutAnswer(absl::StatusCode code, const std::string& message, bool tls = false) {
  CommonArguments arguments;
  arguments.address = "host:1";
  arguments.tls.tls = tls;
  return HintFor({.code = code, .message = message}, {}, arguments);
}

CallInfo Answered() {
  CallInfo info;
  info.trailers.emplace("server-timing", "total;dur=1");
  return info;
}

TEST(CallHintTest, NamesTheAddressThatDoesNotAnswer) {
  EXPECT_THAT(HintWithoutAnswer(absl::StatusCode::kUnavailable, "failed to connect: Connection refused"),
              HasSubstr("no server answers at host:1 (--address or PREDICTD_ADDRESS"));
  EXPECT_THAT(HintWithoutAnswer(absl::StatusCode::kDeadlineExceeded, "Deadline Exceeded"), HasSubstr("host:1 has not"));
  EXPECT_THAT(HintWithoutAnswer(absl::StatusCode::kUnavailable, "Socket closed"), HasSubstr("--tls"));
}

TEST(CallHintTest, TellsWhatIsWrongWithTls) {
  const auto hint = [](const char* message) {
    return HintWithoutAnswer(absl::StatusCode::kUnavailable, message, /*tls=*/true);
  };
  EXPECT_THAT(hint("Ssl handshake failed: SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong version number"),
              HasSubstr("leave out --tls"));
  EXPECT_THAT(hint("Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL routines::certificate verify failed"),
              HasSubstr("--cacert"));
  EXPECT_THAT(hint("Hostname Verification Check failed."), HasSubstr("--server-name"));
  EXPECT_THAT(hint("Connection refused"), HasSubstr("no server answers"));
}

TEST(CallHintTest, AServerThatAnsweredHasSaidAll) {
  EXPECT_EQ(HintFor({.code = absl::StatusCode::kUnavailable, .message = "the model is loading"}, Answered(), {}), "");
  EXPECT_EQ(HintFor({.code = absl::StatusCode::kDeadlineExceeded}, Answered(), {}), "");
}

TEST(CallHintTest, AWrongTypeCanBeCast) {
  ErrorDetails error{.code = absl::StatusCode::kInvalidArgument};
  error.field_violations = {{"inputs[0].shape", "wrong"}};
  EXPECT_EQ(HintFor(error, Answered(), {}), "");
  error.field_violations.push_back({"predict.inputs[1].dtype", "expected DATA_TYPE_FP32, got DATA_TYPE_FP64"});
  EXPECT_THAT(HintFor(error, Answered(), {}), HasSubstr("--cast"));
}

TEST(CallHintTest, TooMuchCanBeAskedForOtherwise) {
  ErrorDetails error{.code = absl::StatusCode::kResourceExhausted};
  error.message = "Received message larger than max (76800029 vs. 67108864)";
  EXPECT_THAT(HintFor(error, {}, {}), HasSubstr("ask for fewer --rows"));
  EXPECT_EQ(HintFor(error, {}, {.max_message_bytes = 67108864}), "the answer is larger than --max-message-bytes");
  error.message = "the request has 2147483650 bytes, and the client sends at most 2147483647";
  EXPECT_THAT(HintFor(error, {}, {}), HasSubstr("predictctl stream cuts what is larger"));
  error.message = "a request of this connection is larger than --max-message-bytes of the server";
  EXPECT_THAT(HintFor(error, Answered(), {}), HasSubstr("ask for fewer --rows"));
  error = {.code = absl::StatusCode::kInvalidArgument};
  error.message = "inputs[0].shape: expected 1 to 64 rows, got 360; PredictStream takes more";
  EXPECT_EQ(HintFor(error, Answered(), {}), "predictctl stream takes more rows");
}

TEST(CallHintTest, ChangesMustBeLetIn) {
  EXPECT_THAT(ControlHint(absl::PermissionDeniedError("no")), HasSubstr("--model-control explicit"));
  EXPECT_EQ(ControlHint(absl::FailedPreconditionError("model.toml: wrong")), "");
}

TEST(ErrorTextTest, SaysNothingTwice) {
  ErrorDetails error{.code = absl::StatusCode::kInvalidArgument, .message = "a: expected 1, got 2"};
  error.field_violations = {{"a", "expected 1, got 2"}};
  EXPECT_EQ(ErrorText(error, "  "), "INVALID_ARGUMENT: a: expected 1, got 2\n");
  error.field_violations.push_back({"b", "expected 3, got 4"});
  error.message += " (and 1 more)";
  EXPECT_EQ(ErrorText(error, "  "), "INVALID_ARGUMENT\n  a: expected 1, got 2\n  b: expected 3, got 4\n");
  error.message = "something else";
  EXPECT_EQ(ErrorText(error, "  "),
            "INVALID_ARGUMENT: something else\n  a: expected 1, got 2\n  b: expected 3, got 4\n");
}

}  // namespace
}  // namespace predictd
