// The client's calls that change and watch what is served.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "client/client.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

class ModelControlTest : public ::testing::Test {
 protected:
  TestServer server_;
  const std::unique_ptr<Client> client_ = *Client::Create({.address = server_.address()});
};

TEST_F(ModelControlTest, ChangesReturnTheModelAsItIsThen) {
  CallInfo info;
  const absl::StatusOr<v1::Model> loaded = client_->LoadModel("double", {}, &info);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->loaded());
  EXPECT_EQ(FindTiming(info.timings, "queue")->duration, absl::Microseconds(500));
  EXPECT_FALSE(client_->UnloadModel("double")->loaded());
  EXPECT_EQ(client_->ReloadModel("double")->versions(0).version(), 4);
}

TEST_F(ModelControlTest, ASplitIsAnsweredWithTheOneBefore) {
  v1::SetTrafficSplitRequest request;
  request.set_model_name("split");
  request.mutable_traffic()->add_shares()->set_version("canary");
  const absl::StatusOr<v1::SetTrafficSplitResponse> response = client_->SetTrafficSplit(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model().traffic().shares(0).version(), "canary");
  EXPECT_EQ(response->previous().shares(1).weight(), 10);
}

TEST_F(ModelControlTest, ErrorsAreThoseOfTheServer) {
  EXPECT_TRUE(absl::IsPermissionDenied(client_->LoadModel("locked").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(client_->UnloadModel("locked").status()));
  EXPECT_TRUE(absl::IsNotFound(client_->ReloadModel("unknown").status()));
  v1::SetTrafficSplitRequest request;
  request.set_model_name("unknown");
  CallInfo info;
  EXPECT_TRUE(absl::IsNotFound(client_->SetTrafficSplit(request, {}, &info).status()));
  ASSERT_TRUE(info.error.has_value());
}

TEST_F(ModelControlTest, ALoadCanBeLeft) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(client_->LoadModel("waits", {.deadline = absl::Milliseconds(100)}).status()));
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ModelControlTest, AWatchTellsOfEachChangeAndHowItEnded) {
  const std::unique_ptr<ModelWatch> watch = *client_->WatchModels();
  std::vector<std::string> seen;
  v1::WatchModelsResponse event;
  while (watch->Next(&event)) {
    seen.push_back(event.has_model() ? event.model().name() : event.has_started() ? "started" : "-" + event.removed());
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("double", "echo", "started", "double", "-echo"));
  EXPECT_EQ(watch->Finish(), absl::UnavailableError("the server is shutting down"));
}

TEST_F(ModelControlTest, AWatchIsCancelledFromAnotherThread) {
  const auto control = std::make_shared<CallControl>();
  const std::unique_ptr<ModelWatch> watch = *client_->WatchModels("waits", {.control = control});
  v1::WatchModelsResponse event;
  ASSERT_TRUE(watch->Next(&event));
  EXPECT_EQ(event.model().name(), "waits");
  ASSERT_TRUE(watch->Next(&event));
  std::thread canceller([&] {
    server_.waiting().WaitForNotification();
    control->Cancel();
  });
  EXPECT_FALSE(watch->Next(&event));
  canceller.join();
  EXPECT_TRUE(absl::IsCancelled(watch->Finish()));
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ModelControlTest, AWatchThatIsDroppedEndsOnTheServer) {
  std::unique_ptr<ModelWatch> watch = *client_->WatchModels("waits");
  v1::WatchModelsResponse event;
  ASSERT_TRUE(watch->Next(&event));
  watch.reset();
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(ModelControlTest, MetadataThatCannotBeSentIsRefusedBeforeTheWatch) {
  EXPECT_TRUE(absl::IsInvalidArgument(client_->WatchModels("", {.metadata = {{"grpc-timeout", "1S"}}}).status()));
}

}  // namespace
}  // namespace predictd
