#include "server/rpc/message_bytes.h"

#include <gtest/gtest.h>
#include <predictd/v1/prediction_service.pb.h>

#include <limits>
#include <string>

namespace predictd {
namespace {

constexpr size_t kAnySize = std::numeric_limits<size_t>::max();

v1::PredictRequest Request(size_t raw_bytes) {
  v1::PredictRequest request;
  request.set_model_name("m");
  request.add_inputs()->set_raw(std::string(raw_bytes, 'r'));
  return request;
}

// The sizes are below and above what gRPC keeps inside a slice, what is parsed into an arena, and what gRPC allocates
// itself.
TEST(MessageBytesTest, AMessageOfAnySizeComesBackAsItWas) {
  for (const size_t size : {0U, 1U, 20U, 1000U, 4096U, 100'000U, 5'000'000U}) {
    const v1::PredictRequest request = Request(size);
    absl::StatusOr<grpc::ByteBuffer> bytes = SerializeMessage(request);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(bytes->Length(), request.ByteSizeLong());
    const auto parsed = ParseMessage<v1::PredictRequest>(*bytes, kAnySize);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ((*parsed)->SerializeAsString(), request.SerializeAsString());
  }
}

TEST(MessageBytesTest, BytesAreGivenBackOnceTheyAreParsed) {
  absl::StatusOr<grpc::ByteBuffer> bytes = SerializeMessage(Request(100'000));
  ASSERT_TRUE(ParseMessage<v1::PredictRequest>(*bytes, kAnySize).ok());
  EXPECT_FALSE(bytes->Valid());
}

TEST(MessageBytesTest, WhatIsLargerThanAllowedIsNotParsed) {
  absl::StatusOr<grpc::ByteBuffer> bytes = SerializeMessage(Request(5000));
  EXPECT_EQ(ParseMessage<v1::PredictRequest>(*bytes).status(),
            absl::InvalidArgumentError("expected a request of at most 4096 bytes, got 5009"));
}

TEST(MessageBytesTest, NoBytesAtAllAreNoMessage) {
  grpc::ByteBuffer none;
  EXPECT_EQ(ParseMessage<v1::PredictRequest>(none).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace predictd
