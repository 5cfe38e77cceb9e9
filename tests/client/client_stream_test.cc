#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "client/tensor_builder.h"
#include "tests/client/in_process_server.h"
#include "tests/client/relay.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;

// What `info` says about a failure; an UNKNOWN error without a message if it says nothing.
ErrorDetails ErrorOf(const CallInfo& info) {
  return info.error.value_or(ErrorDetails());
}

// A request with five rows.
v1::PredictStreamRequest RequestFor(const std::string& model) {
  v1::PredictStreamRequest request;
  request.mutable_predict()->set_model_name(model);
  *request.mutable_predict()->add_inputs() = *MakeTensor<float>("x", {5, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  request.set_chunk_rows(2);
  request.set_ordered(true);
  return request;
}

class ClientStreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<PredictionStream> Start(const v1::PredictStreamRequest& request, const CallOptions& options = {}) {
    return *client_->PredictStream(request, options);
  }

  TestServer server_;
  const std::unique_ptr<Client> client_ = *Client::Create({.address = server_.address()});
};

TEST_F(ClientStreamTest, EventsComeInOrderAndEndWithTrailers) {
  const std::unique_ptr<PredictionStream> stream = Start(RequestFor("double"));
  v1::PredictStreamResponse event;
  ASSERT_TRUE(stream->Next(&event));
  EXPECT_EQ(event.start().total_rows(), 5);
  std::vector<float> values;
  std::vector<std::int64_t> first_rows;
  while (stream->Next(&event) && event.has_rows()) {
    first_rows.push_back(event.rows().first_row());
    const std::vector<float> part = *TensorValues<float>(event.rows().outputs(0));
    values.insert(values.end(), part.begin(), part.end());
  }
  EXPECT_THAT(first_rows, ElementsAre(0, 2, 4));
  EXPECT_THAT(values, ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 16, 18));
  EXPECT_EQ(event.summary().rows_ok(), 5);
  EXPECT_FALSE(stream->Next(&event));
  CallInfo info;
  EXPECT_TRUE(stream->Finish(&info).ok());
  EXPECT_EQ(FindTiming(info.timings, "queue")->duration, absl::Microseconds(500));
  EXPECT_FALSE(info.error.has_value());
}

TEST_F(ClientStreamTest, FinishMayBeAskedAgain) {
  const std::unique_ptr<PredictionStream> stream = Start(RequestFor("waits"));
  EXPECT_TRUE(absl::IsCancelled(stream->Finish()));
  CallInfo info;
  EXPECT_TRUE(absl::IsCancelled(stream->Finish(&info)));
  EXPECT_EQ(ErrorOf(info).code, absl::StatusCode::kCancelled);
}

TEST_F(ClientStreamTest, CancelFromAnotherThreadWakesTheReader) {
  const auto control = std::make_shared<CallControl>();
  const std::unique_ptr<PredictionStream> stream = Start(RequestFor("waits"), {.control = control});
  v1::PredictStreamResponse event;
  ASSERT_TRUE(stream->Next(&event));
  ASSERT_TRUE(stream->Next(&event));
  std::thread canceller([&] {
    server_.waiting().WaitForNotification();
    control->Cancel();
  });
  EXPECT_FALSE(stream->Next(&event));
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(stream->Finish()));
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ClientStreamTest, StreamThatIsDroppedEarlyStopsTheServer) {
  std::unique_ptr<PredictionStream> stream = Start(RequestFor("waits"));
  v1::PredictStreamResponse event;
  ASSERT_TRUE(stream->Next(&event));
  stream.reset();
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ClientStreamTest, DeadlineEndsTheStreamAfterWhatCame) {
  const std::unique_ptr<PredictionStream> stream = Start(RequestFor("waits"), {.deadline = absl::Seconds(1)});
  v1::PredictStreamResponse event;
  int events = 0;
  while (stream->Next(&event)) ++events;
  EXPECT_EQ(events, 2);
  EXPECT_TRUE(absl::IsDeadlineExceeded(stream->Finish()));
}

TEST_F(ClientStreamTest, StreamOutlivesItsClient) {
  std::unique_ptr<Client> client = *Client::Create({.address = server_.address()});
  const std::unique_ptr<PredictionStream> stream = *client->PredictStream(RequestFor("double"));
  client.reset();
  v1::PredictStreamResponse event;
  int events = 0;
  while (stream->Next(&event)) ++events;
  EXPECT_EQ(events, 5);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ClientStreamTest, MetadataThatCannotBeSentIsRefusedBeforeTheCall) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      client_->PredictStream(RequestFor("double"), {.metadata = {{"grpc-timeout", "1S"}}}).status()));
}

TEST_F(ClientStreamTest, AServerThatFallsSilentIsFoundHoweverLongTheStreamHasBeenQuiet) {
  Relay relay(server_.address());
  const std::unique_ptr<Client> client = *Client::Create({.address = relay.address(),
                                                          .keepalive_interval = absl::Milliseconds(20),
                                                          .keepalive_timeout = absl::Seconds(1)});
  const std::unique_ptr<PredictionStream> stream = *client->PredictStream(RequestFor("waits"));
  v1::PredictStreamResponse event;
  ASSERT_TRUE(stream->Next(&event));
  ASSERT_TRUE(stream->Next(&event));
  // gRPC's default would be two pings.
  ASSERT_TRUE(relay.WaitForPings(4, absl::Seconds(20)));
  relay.Freeze();
  EXPECT_FALSE(stream->Next(&event));
  const absl::Status status = stream->Finish();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(ClientStreamTest, ARequestAboveTheLimitIsNotSent) {
  const v1::PredictStreamRequest request = RequestFor("double");
  const auto bytes = static_cast<std::int64_t>(request.ByteSizeLong());
  const auto start = [&](std::int64_t limit) {
    const auto client = *Client::Create({.address = server_.address(), .max_send_bytes = limit});
    return client->PredictStream(request).status();
  };
  EXPECT_TRUE(start(bytes).ok());
  const absl::Status status = start(bytes - 1);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(status.message(),
            absl::StrCat("the request has ", bytes, " bytes, and the client sends at most ", bytes - 1));
}

}  // namespace
}  // namespace predictd
