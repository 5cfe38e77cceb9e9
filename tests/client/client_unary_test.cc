#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "client/client.h"
#include "client/tensor_builder.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// What `info` says about a failure; an UNKNOWN error without a message if it says nothing.
ErrorDetails ErrorOf(const CallInfo& info) {
  return info.error.value_or(ErrorDetails());
}

v1::PredictRequest RequestFor(const std::string& model) {
  v1::PredictRequest request;
  request.set_model_name(model);
  *request.add_inputs() = *MakeTensor<float>("x", {1, 2}, {1.5F, -3});
  return request;
}

class ClientUnaryTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> MakeClient(ClientOptions options = {}) {
    options.address = server_.address();
    return *Client::Create(options);
  }

  TestServer server_;
};

TEST_F(ClientUnaryTest, PredictReturnsTheOutputsAndTheTimings) {
  CallInfo info;
  const absl::StatusOr<v1::PredictResponse> response = MakeClient()->Predict(RequestFor("double"), {}, &info);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model_version(), 3);
  EXPECT_THAT(*TensorValues<float>(response->outputs(0)), ElementsAre(3, -6));
  ASSERT_EQ(info.timings.size(), 4);
  EXPECT_EQ(FindTiming(info.timings, "forward")->duration, absl::Microseconds(1250));
  EXPECT_EQ(FindTiming(info.timings, "batch")->description, "8");
  EXPECT_GT(info.elapsed, absl::ZeroDuration());
  EXPECT_EQ(info.peer, "ipv4:" + server_.address());
  EXPECT_FALSE(info.error.has_value());
}

TEST_F(ClientUnaryTest, ModelsAreListedAndDescribed) {
  const std::unique_ptr<Client> client = MakeClient();
  const absl::StatusOr<v1::ListModelsResponse> all = client->ListModels();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->models(0).name(), "double");
  const absl::StatusOr<v1::Model> one = client->GetModel("double");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->inputs(0).name(), "x");
}

TEST_F(ClientUnaryTest, ErrorsComeWithTheirDetails) {
  CallInfo info;
  const absl::StatusOr<v1::PredictResponse> response = MakeClient()->Predict(RequestFor("busy"), {}, &info);
  EXPECT_EQ(response.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(response.status().message(), "the queue is full");
  ASSERT_TRUE(info.error.has_value());
  EXPECT_THAT(ErrorOf(info).field_violations, ElementsAre(FieldViolation{"inputs[0].shape[1]", "expected 2, got 3"}));
  // RetryInfo says a second, but the pushback is what gRPC's own retries obey.
  EXPECT_EQ(ErrorOf(info).retry_after, absl::Milliseconds(250));
  EXPECT_EQ(FindTiming(info.timings, "total")->duration, absl::Milliseconds(2));
}

TEST_F(ClientUnaryTest, ErrorsWithoutDetailsKeepTheirMessage) {
  CallInfo info;
  const absl::StatusOr<v1::Model> model = MakeClient()->GetModel("unknown", {}, &info);
  EXPECT_TRUE(absl::IsNotFound(model.status()));
  EXPECT_EQ(ErrorOf(info).message, "no model 'unknown', only 'double'");
  EXPECT_TRUE(ErrorOf(info).field_violations.empty());
}

TEST_F(ClientUnaryTest, MetadataOfClientAndCallAreSent) {
  const std::unique_ptr<Client> client =
      MakeClient({.metadata = {{"authorization", "Bearer t"}}, .user_agent = "mine"});
  const std::string traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const CallOptions options{.metadata = {{"x-tenant", "a"}, {"blob-bin", std::string("\0\xff", 2)}},
                            .traceparent = traceparent};
  ASSERT_TRUE(client->Predict(RequestFor("double"), options).ok());
  const auto metadata = server_.last_metadata();
  EXPECT_THAT(metadata, ::testing::Contains(Pair("authorization", "Bearer t")));
  EXPECT_THAT(metadata, ::testing::Contains(Pair("x-tenant", "a")));
  EXPECT_THAT(metadata, ::testing::Contains(Pair("blob-bin", std::string("\0\xff", 2))));
  EXPECT_THAT(metadata, ::testing::Contains(Pair("traceparent", traceparent)));
  EXPECT_THAT(metadata, ::testing::Contains(Pair("user-agent", HasSubstr("mine"))));
}

TEST_F(ClientUnaryTest, MetadataThatCannotBeSentIsRefusedBeforeTheCall) {
  const std::unique_ptr<Client> client = MakeClient();
  const CallOptions options{.metadata = {{"x-tenant", "two\nlines"}}};
  const absl::StatusOr<v1::PredictResponse> response = client->Predict(RequestFor("double"), options);
  EXPECT_TRUE(absl::IsInvalidArgument(response.status()));
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("x-tenant"));
  EXPECT_TRUE(server_.last_metadata().empty());
  EXPECT_TRUE(absl::IsInvalidArgument(client->Predict(RequestFor("double"), {.traceparent = "\x01"}).status()));
}

TEST_F(ClientUnaryTest, DeadlineOfTheCallEndsItOnBothSides) {
  CallInfo info;
  const CallOptions options{.deadline = absl::Milliseconds(100)};
  const absl::Status status = MakeClient()->Predict(RequestFor("waits"), options, &info).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_GE(info.elapsed, absl::Milliseconds(100));
  EXPECT_EQ(ErrorOf(info).code, absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ClientUnaryTest, DefaultDeadlineAppliesToCallsWithoutOne) {
  const std::unique_ptr<Client> client = MakeClient({.default_deadline = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->Predict(RequestFor("waits")).status()));
  EXPECT_TRUE(client->Predict(RequestFor("double"), {.deadline = absl::InfiniteDuration()}).ok());
}

TEST_F(ClientUnaryTest, CallIsCancelledFromAnotherThread) {
  const auto control = std::make_shared<CallControl>();
  std::thread canceller([&] {
    server_.waiting().WaitForNotification();
    control->Cancel();
  });
  const absl::Status status = MakeClient()->Predict(RequestFor("waits"), {.control = control}).status();
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ClientUnaryTest, CallsAfterTheCancellationAreCancelledToo) {
  const auto control = std::make_shared<CallControl>();
  control->Cancel();
  EXPECT_TRUE(control->cancelled());
  EXPECT_TRUE(absl::IsCancelled(MakeClient()->Predict(RequestFor("waits"), {.control = control}).status()));
}

TEST_F(ClientUnaryTest, CancellingAfterTheEndIsHarmless) {
  const auto control = std::make_shared<CallControl>();
  ASSERT_TRUE(MakeClient()->Predict(RequestFor("double"), {.control = control}).ok());
  control->Cancel();
}

TEST_F(ClientUnaryTest, AnswersBeyondTheLimitAreRefused) {
  const std::unique_ptr<Client> client = MakeClient({.max_receive_bytes = 16});
  EXPECT_EQ(client->Predict(RequestFor("double")).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ClientUnaryTest, OneClientServesManyThreads) {
  const std::unique_ptr<Client> client = MakeClient();
  std::vector<std::thread> threads;
  threads.reserve(8);
  std::atomic<int> right = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&client, &right, t] {
      for (int i = 0; i < 50; ++i) {
        const std::vector<float> values = {static_cast<float>(t), static_cast<float>(i)};
        v1::PredictRequest request;
        request.set_model_name("double");
        *request.add_inputs() = *MakeTensor<float>("x", {1, 2}, values);
        const absl::StatusOr<v1::PredictResponse> response = client->Predict(request);
        const std::vector<float> doubled = {2 * values[0], 2 * values[1]};
        if (response.ok() && *TensorValues<float>(response->outputs(0)) == doubled) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 8 * 50);
}

TEST(ClientTest, WithoutAServerCallsAreUnavailable) {
  CallInfo info;
  const std::unique_ptr<Client> client = *Client::Create({.address = "unix:/nonexistent/socket"});
  EXPECT_TRUE(absl::IsUnavailable(client->ListModels({}, &info).status()));
  EXPECT_EQ(ErrorOf(info).code, absl::StatusCode::kUnavailable);
}

TEST(ClientTest, ImpossibleOptionsAreRefusedByName) {
  const auto message_of = [](const ClientOptions& options) {
    const auto client = Client::Create(options);
    EXPECT_TRUE(absl::IsInvalidArgument(client.status()));
    return std::string(client.status().message());
  };
  EXPECT_THAT(message_of({.address = ""}), HasSubstr("address"));
  EXPECT_THAT(message_of({.metadata = {{"Upper", "x"}}}), HasSubstr("Upper"));
  EXPECT_THAT(message_of({.max_receive_bytes = 0}), HasSubstr("max_receive_bytes"));
  EXPECT_THAT(message_of({.max_send_bytes = std::int64_t{1} << 31}), HasSubstr("max_send_bytes"));
  EXPECT_THAT(message_of({.keepalive_interval = absl::ZeroDuration()}), HasSubstr("keepalive_interval"));
  EXPECT_THAT(message_of({.keepalive_timeout = absl::ZeroDuration()}), HasSubstr("keepalive_timeout"));
}

TEST_F(ClientUnaryTest, ARequestAboveTheLimitIsNotSent) {
  const absl::StatusOr<v1::PredictResponse> response =
      MakeClient({.max_send_bytes = 16})->Predict(RequestFor("double"));
  EXPECT_TRUE(absl::IsResourceExhausted(response.status())) << response.status();
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("the client sends at most 16"));
  EXPECT_TRUE(server_.last_metadata().empty());
}

}  // namespace
}  // namespace predictd
