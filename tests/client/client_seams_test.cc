// What a client may be given: a connection of its own, a channel, or stubs, which tests of callers replace.
#include <gmock/gmock.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/test/mock_stream.h>
#include <gtest/gtest.h>

#include "client/client.h"
#include "client/tensor_builder.h"
#include "predictd/v1/model_service_mock.grpc.pb.h"
#include "predictd/v1/prediction_service_mock.grpc.pb.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

using ::testing::_;
using ::testing::DoAll;
using ::testing::Pair;
using ::testing::Return;
using ::testing::SetArgPointee;

v1::PredictRequest RequestForDouble() {
  v1::PredictRequest request;
  request.set_model_name("double");
  *request.add_inputs() = *MakeTensor<float>("x", {1, 2}, {1.5F, -3});
  return request;
}

// Who made a call of that client, as the server sees it.
std::string PeerOf(const Client& client, const TestServer& server) {
  EXPECT_TRUE(client.Predict(RequestForDouble()).ok());
  return server.last_peer();
}

TEST(ClientConnectionTest, ClientsShareOneUnlessTheyHaveTheirOwn) {
  TestServer server;
  const std::unique_ptr<Client> one = *Client::Create({.address = server.address()});
  const std::unique_ptr<Client> same = *Client::Create({.address = server.address()});
  const std::unique_ptr<Client> own = *Client::Create({.address = server.address(), .own_connection = true});
  const std::unique_ptr<Client> other = *Client::Create({.address = server.address(), .own_connection = true});
  EXPECT_EQ(PeerOf(*one, server), PeerOf(*same, server));
  EXPECT_NE(PeerOf(*one, server), PeerOf(*own, server));
  EXPECT_NE(PeerOf(*own, server), PeerOf(*other, server));
  EXPECT_EQ(PeerOf(*own, server), PeerOf(*own, server));
}

TEST(ClientOverChannelTest, CallsGoOverIt) {
  TestServer server;
  const std::unique_ptr<Client> client =
      *Client::OverChannel(server.InProcessChannel(), {.metadata = {{"client-name", "seams"}}});
  EXPECT_EQ(client->ListModels()->models(0).name(), "double");
  EXPECT_EQ(PeerOf(*client, server), "unknown");  // A call over a socket has an address.
  EXPECT_THAT(server.last_metadata(), testing::Contains(Pair("client-name", "seams")));
  v1::PredictStreamRequest request;
  *request.mutable_predict() = RequestForDouble();
  const std::unique_ptr<PredictionStream> stream = *client->PredictStream(request);
  v1::PredictStreamResponse event;
  EXPECT_TRUE(stream->Next(&event));
  EXPECT_EQ(event.start().total_rows(), 1);
  while (stream->Next(&event)) {
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ClientOverChannelTest, MetadataThatCannotBeSentIsRefused) {
  TestServer server;
  EXPECT_TRUE(
      absl::IsInvalidArgument(Client::OverChannel(server.InProcessChannel(), {.metadata = {{"Upper", "x"}}}).status()));
}

class ClientWithStubsTest : public ::testing::Test {
 protected:
  ClientWithStubsTest() {
    auto predictions = std::make_unique<v1::MockPredictionServiceStub>();
    auto models = std::make_unique<v1::MockModelServiceStub>();
    predictions_ = predictions.get();
    models_ = models.get();
    client_ = *Client::WithStubs(std::move(predictions), std::move(models));
  }

  v1::MockPredictionServiceStub* predictions_;
  v1::MockModelServiceStub* models_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientWithStubsTest, AnswersAreThoseOfTheStub) {
  v1::GetModelResponse model;
  model.mutable_model()->set_description("made up");
  EXPECT_CALL(*models_, GetModel(_, _, _)).WillOnce(DoAll(SetArgPointee<2>(model), Return(grpc::Status::OK)));
  EXPECT_EQ(client_->GetModel("any")->description(), "made up");
}

TEST_F(ClientWithStubsTest, ErrorsOfTheStubHaveTheirDetails) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(3);
  google::rpc::Status status;
  status.add_details()->PackFrom(retry);
  EXPECT_CALL(*predictions_, Predict(_, _, _))
      .WillOnce(Return(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", status.SerializeAsString())));
  CallInfo info;
  EXPECT_EQ(client_->Predict({}, {}, &info).status(), absl::ResourceExhaustedError("full"));
  ASSERT_TRUE(info.error.has_value());
  EXPECT_EQ(info.error->retry_after, absl::Seconds(3));
}

TEST_F(ClientWithStubsTest, StreamsAreThoseOfTheStub) {
  v1::PredictStreamResponse piece;
  piece.mutable_delta()->set_text("once");
  auto* reader = new grpc::testing::MockClientReader<v1::PredictStreamResponse>;
  EXPECT_CALL(*predictions_, PredictStreamRaw(_, _)).WillOnce(Return(reader));
  EXPECT_CALL(*reader, Read(_)).WillOnce(DoAll(SetArgPointee<0>(piece), Return(true))).WillOnce(Return(false));
  EXPECT_CALL(*reader, Finish()).WillOnce(Return(grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone")));
  const std::unique_ptr<PredictionStream> stream = *client_->PredictStream({});
  v1::PredictStreamResponse event;
  ASSERT_TRUE(stream->Next(&event));
  EXPECT_EQ(event.delta().text(), "once");
  EXPECT_FALSE(stream->Next(&event));
  EXPECT_EQ(stream->Finish(), absl::UnavailableError("gone"));
}

}  // namespace
}  // namespace predictd
