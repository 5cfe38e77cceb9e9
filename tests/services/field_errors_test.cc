#include "server/services/field_errors.h"

#include <google/rpc/error_details.pb.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

google::rpc::BadRequest Detail(const absl::Status& status) {
  google::rpc::BadRequest bad_request;
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  EXPECT_TRUE(payload.has_value());
  if (payload.has_value()) {
    EXPECT_TRUE(bad_request.ParseFromString(std::string(*payload)));
  }
  return bad_request;
}

TEST(FieldErrorsTest, WithoutErrorsTheStatusIsOk) {
  const FieldErrors errors;
  EXPECT_TRUE(errors.empty());
  EXPECT_TRUE(errors.ToStatus().ok());
}

TEST(FieldErrorsTest, OneErrorIsTheMessageAndADetail) {
  FieldErrors errors;
  errors.Add("inputs[0].shape", "expected [1], got [2]");
  EXPECT_FALSE(errors.empty());
  const absl::Status status = errors.ToStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "inputs[0].shape: expected [1], got [2]");
  const google::rpc::BadRequest detail = Detail(status);
  ASSERT_EQ(detail.field_violations_size(), 1);
  EXPECT_EQ(detail.field_violations(0).field(), "inputs[0].shape");
  EXPECT_EQ(detail.field_violations(0).description(), "expected [1], got [2]");
}

TEST(FieldErrorsTest, MessageIsTheFirstErrorAndTheirNumberAndTheDetailsAreAll) {
  FieldErrors errors;
  for (int i = 0; i < 3; ++i) errors.Add(absl::StrCat("inputs[", i, "]"), "wrong");
  EXPECT_EQ(errors.ToStatus().message(), "inputs[0]: wrong (and 2 more)");
  const google::rpc::BadRequest detail = Detail(errors.ToStatus());
  ASSERT_EQ(detail.field_violations_size(), 3);
  EXPECT_EQ(detail.field_violations(2).field(), "inputs[2]");
}

// Clients limit trailers to 8 KiB, in which the detail is base64 and stands beside the message.
TEST(FieldErrorsTest, HoweverMuchIsWrongTheStatusFitsIntoTrailers) {
  FieldErrors errors;
  for (int i = 0; i < 1000; ++i) errors.Add(std::string(10'000, 'f'), std::string(10'000, 'd'));
  const absl::Status status = errors.ToStatus();
  const google::rpc::BadRequest detail = Detail(status);
  EXPECT_GE(detail.field_violations_size(), 1);
  EXPECT_LE(detail.field_violations_size(), 16);
  EXPECT_LE(detail.ByteSizeLong() * 4 / 3 + status.message().size(), 8192U - 1024U);
}

TEST(FieldErrorsTest, ManyShortErrorsAreCutToSixteen) {
  FieldErrors errors;
  for (int i = 0; i < 100; ++i) errors.Add("f", "d");
  EXPECT_EQ(Detail(errors.ToStatus()).field_violations_size(), 16);
}

TEST(FieldErrorsTest, SaysWhenFurtherErrorsAreDropped) {
  FieldErrors errors;
  for (int i = 0; i < 15; ++i) errors.Add("f", "d");
  EXPECT_FALSE(errors.full());
  errors.Add("f", "d");
  EXPECT_TRUE(errors.full());
  FieldErrors long_ones;
  for (int i = 0; i < 15 && !long_ones.full(); ++i) long_ones.Add(std::string(500, 'f'), std::string(500, 'd'));
  EXPECT_TRUE(long_ones.full()) << "they take all of the trailers";
}

// A message with invalid UTF-8 could not be serialised, or not be read by the caller.
TEST(FieldErrorsTest, TextIsCutBetweenCharactersAndAlwaysValid) {
  for (size_t prefix = 0; prefix < 4; ++prefix) {
    std::string text(prefix, 'a');
    for (int i = 0; i < 200; ++i) text += "\xe2\x82\xac";  // the euro sign, 3 bytes
    FieldErrors errors;
    errors.Add(text, text);
    const google::rpc::BadRequest detail = Detail(errors.ToStatus());
    const std::string& description = detail.field_violations(0).description();
    EXPECT_LE(description.size(), 256U);
    EXPECT_GE(description.size(), 250U);
    EXPECT_EQ((description.size() - prefix) % 3, 0U) << "cut inside a character";
  }
  FieldErrors errors;
  errors.Add("x\xff", "\xc3(");
  const google::rpc::BadRequest detail = Detail(errors.ToStatus());
  EXPECT_EQ(detail.field_violations(0).field(), "x\xef\xbf\xbd");
  EXPECT_EQ(detail.field_violations(0).description(), "\xef\xbf\xbd(");
}

}  // namespace
}  // namespace predictd
