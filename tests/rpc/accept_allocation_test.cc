// Tests that loops go on to accept calls, also after there was no memory to wait for them.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>

#include "server/rpc/event_loop.h"
#include "server/rpc/serve.h"
#include "tests/fakes/failing_allocations.h"
#include "tests/rpc/transport_fixture.h"

namespace predictd {
namespace {

constexpr char kEcho[] = "/test.Echo/Echo";

using AcceptWithoutMemoryTest = TransportTest;

TEST_F(AcceptWithoutMemoryTest, CallsAreAcceptedOnceThereIsMemory) {
  // It belongs to the loop's thread, which ends before it does.
  std::optional<FailingAllocations> failing;
  std::atomic<bool> failed{false};
  environment_.admit = [&](const Method& /*method*/, const ClientMetadata& /*metadata*/) {
    failed = failing->failed();
    return absl::OkStatus();
  };
  // The first thing that is allocated after this is the coroutine that waits for a call.
  Start(/*loops=*/1, [&failing] { failing.emplace(0); });
  const RawAnswer answer = Ask(Connect(), kEcho, "x", std::chrono::seconds(10));
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_TRUE(failed);
}

Task<absl::StatusOr<grpc::ByteBuffer>> SendBack(Call& /*call*/, grpc::ByteBuffer& request) {
  co_return request;
}

// An acceptor alone, which nobody reminds of what it has missed.
class AcceptorTest : public TransportTest {
 protected:
  AcceptorTest() : methods_(metrics_) {
    methods_.Add({.service = "test.Echo", .name = "Echo", .max_request_bytes = 1000}, UnaryHandler(SendBack));
    environment_.connections = &connections_;
    grpc::ServerBuilder builder;
    builder.RegisterAsyncGenericService(&service_);
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    loop_ = std::make_unique<EventLoop>(builder.AddCompletionQueue(), pool_, metrics_);
    grpc_server_ = builder.BuildAndStart();
    acceptor_ = std::make_unique<Acceptor>(*loop_, environment_, service_, methods_);
  }
  ~AcceptorTest() override {
    grpc_server_->Shutdown();
    loop_->Shutdown();
  }

  std::shared_ptr<grpc::Channel> Connect() const {
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port_), grpc::InsecureChannelCredentials());
  }

  ConnectionTable connections_{ConnectionLimits{}};
  MethodTable methods_;
  grpc::AsyncGenericService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, EachCallHasASuccessor) {
  loop_->Start([this] { acceptor_->Refill(); }, [] {});
  const auto channel = Connect();
  for (int i = 0; i < 40; ++i) {
    const RawAnswer answer = Ask(channel, kEcho, "x", std::chrono::seconds(10));
    ASSERT_TRUE(answer.status.ok()) << "call " << i << ": " << answer.status.error_message();
  }
}

// The first two allocations are the coroutine's frame and a part of its call. What follows is gRPC's, which does not
// survive a failure.
TEST_F(AcceptorTest, WaitsForCallsAfterItsOwnAllocationsHaveFailed) {
  int failures = 0;
  loop_->Start(
      [this, &failures] {
        for (int allocation = 0; allocation < 2; ++allocation) {
          const FailingAllocations failing(allocation, /*from_then_on=*/true);
          acceptor_->Refill();
          failures += failing.failed() ? 1 : 0;
        }
        acceptor_->Refill();
      },
      [] {});
  const auto channel = Connect();
  for (int i = 0; i < 40; ++i) {
    const RawAnswer answer = Ask(channel, kEcho, "x", std::chrono::seconds(10));
    ASSERT_TRUE(answer.status.ok()) << "call " << i << ": " << answer.status.error_message();
  }
  EXPECT_EQ(failures, 2);
}

}  // namespace
}  // namespace predictd
