// Tests that a call may be refused by its headers, before anything of its request is read.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <string>

#include "tests/rpc/stream_fixture.h"

namespace predictd {
namespace {

constexpr char kPaths[][18] = {"/test.Echo/Echo", "/test.Echo/Flood", "/test.Stream/Many", "/test.Stream/Nil"};
constexpr char kMany[] = "/test.Stream/Many";

class AdmissionTest : public StreamTest {
 protected:
  // Lets in calls that have the header key: secret.
  void AskForTheKey() {
    environment_.admit = [this](const Method& method, const ClientMetadata& metadata) {
      ++asked_;
      const auto found = metadata.find("key");
      if (found != metadata.end() && found->second == "secret") return absl::OkStatus();
      return absl::PermissionDeniedError("no key for " + method.name());
    };
  }

  std::atomic<int> asked_{0};
};

TEST_F(AdmissionTest, RequestsOfCallsThatAreRefusedAreNotRead) {
  AskForTheKey();
  Start();
  const auto channel = Connect();
  RawCall let_in(channel, kMany, std::nullopt, {{"key", "secret"}});
  ASSERT_TRUE(let_in.WriteOne("peer"));
  const std::optional<std::string> peer = let_in.Read();
  ASSERT_TRUE(peer.has_value());
  const std::shared_ptr<PeerConnection> connection = environment_.connections->Find(*peer);
  ASSERT_NE(connection, nullptr);
  const int64_t bytes_before = connection->counts().message_bytes;
  EXPECT_GT(bytes_before, 0);

  int64_t refused = 0;
  for (const char* path : kPaths) {
    for (const RawCall::Metadata& metadata : {RawCall::Metadata{}, RawCall::Metadata{{"key", "wrong"}}}) {
      RawCall call(channel, path, std::nullopt, metadata);
      call.Write(std::string(500'000, 'b'));
      const grpc::Status status = call.Finish();
      EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << path << ": " << status.error_message();
      EXPECT_EQ(status.error_message().rfind("no key for ", 0), 0U) << status.error_message();
      ++refused;
    }
  }
  EXPECT_TRUE(Eventually([&] { return environment_.ended == refused; }));
  EXPECT_EQ(asked_, refused + 1);
  EXPECT_EQ(seen_.started, 1);
  EXPECT_EQ(connection->counts().message_bytes, bytes_before);
  EXPECT_EQ(connection->counts().ended_unserved, refused);
  EXPECT_EQ(Ended("Many", "PERMISSION_DENIED"), 2);

  ASSERT_TRUE(let_in.WriteOne("echo a"));
  EXPECT_EQ(let_in.Read(), "a");
}

TEST_F(AdmissionTest, AHookThatThrowsRefusesTheCall) {
  environment_.admit = [](const Method& /*method*/, const ClientMetadata& /*metadata*/) -> absl::Status {
    throw std::bad_alloc();
  };
  Start();
  EXPECT_EQ(Ask(Connect(), "/test.Echo/Echo", "x").status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(seen_.started, 0);
  EXPECT_TRUE(AllOver(1));
}

}  // namespace
}  // namespace predictd
