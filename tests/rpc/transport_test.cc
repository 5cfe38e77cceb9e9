// Tests calls from their headers to their last tag, on a server in this process: whatever the client does, each call
// ends, gives back what it held, and is reported once.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/rpc/transport_fixture.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kEcho[] = "/test.Echo/Echo";
constexpr char kHold[] = "/test.Echo/Hold";
constexpr char kLarge[] = "/test.Echo/Large";
constexpr char kFlood[] = "/test.Echo/Flood";
constexpr char kThrow[] = "/test.Echo/Throw";

TEST_F(TransportTest, AnswersWhatTheHandlerReturns) {
  Start();
  const auto channel = Connect();
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, size_t{1} << 20}) {
    const std::string bytes(size, 'b');
    const RawAnswer answer = Ask(channel, kEcho, bytes);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.message, bytes);
    EXPECT_EQ(answer.server_timing.rfind("total;dur=", 0), 0U) << answer.server_timing;
  }
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_EQ(Ended("Echo", "OK"), 4);
}

TEST_F(TransportTest, AnswersHaveNoTimingsWhereNobodyWantsThem) {
  environment_.server_timing = false;
  Start();
  const RawAnswer answer = Ask(Connect(), kEcho, "x");
  EXPECT_TRUE(answer.status.ok());
  EXPECT_EQ(answer.server_timing, "");
}

TEST_F(TransportTest, UnknownMethodIsUnimplemented) {
  Start();
  const RawAnswer answer = Ask(Connect(), "/test.Echo/Nothing", "x");
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_NE(answer.status.error_message().find("/test.Echo/Nothing"), std::string::npos);
  EXPECT_TRUE(Eventually([&] { return Ended("unknown", "UNIMPLEMENTED") == 1; }));
}

TEST_F(TransportTest, MessageAboveTheMethodsLimitIsRefused) {
  Start();
  const RawAnswer answer = Ask(Connect(), kEcho, std::string((size_t{1} << 20) + 1, 'b'));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(seen_.started, 0);
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
}

TEST_F(TransportTest, CallWithoutAMessageIsInvalid) {
  Start();
  RawCall call(Connect(), kEcho);
  ASSERT_TRUE(call.WriteNothing());
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(seen_.started, 0);
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
}

// --- The caller goes away ---

TEST_F(TransportTest, CancelBeforeTheMessageEndsTheCall) {
  Start();
  const auto channel = Connect();
  {
    const RawCall call(channel, kEcho);
    ASSERT_TRUE(Eventually([&] { return environment_.accepted == 1; }));
  }
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_EQ(seen_.started, 0);
  EXPECT_TRUE(Eventually([&] { return Ended("Echo", "CANCELLED") == 1; }));
}

TEST_F(TransportTest, CancelWhileTheHandlerRunsStopsIt) {
  Start();
  {
    RawCall call(Connect(), kHold);
    ASSERT_TRUE(call.Write("x"));
    ASSERT_TRUE(Eventually([&] { return seen_.started == 1; }));
    EXPECT_EQ(seen_.ended, 0);
  }
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_EQ(seen_.reason.load(), StopReason::kCancelled);
  EXPECT_TRUE(Eventually([&] { return Ended("Hold", "CANCELLED") == 1; }));
}

TEST_F(TransportTest, CancelInTheMiddleOfTheAnswerEndsTheCall) {
  Start();
  {
    RawCall call(Connect(), kLarge);
    // The answer has more bytes than the windows hold, so that it is under way.
    ASSERT_TRUE(call.Write("15000000"));
    ASSERT_TRUE(Eventually([&] { return seen_.ended == 1; }));
  }
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_TRUE(Eventually([&] { return Ended("Large", "CANCELLED") == 1; }));
}

TEST_F(TransportTest, CancelAfterTheAnswerChangesNothing) {
  Start();
  RawCall call(Connect(), kEcho);
  ASSERT_TRUE(call.Write("x"));
  EXPECT_EQ(call.Read(), "x");
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  call.Cancel();
  call.Finish();
  EXPECT_TRUE(Ask(Connect(), kEcho, "x").status.ok());
  EXPECT_TRUE(AllOver(2));
  EXPECT_EQ(Ended("Echo", "OK"), 2);
  EXPECT_EQ(Ended("Echo", "CANCELLED"), 0);
}

TEST_F(TransportTest, CallsThatAreCancelledTogetherAllEnd) {
  Start();
  {
    const auto channel = Connect();
    std::vector<std::unique_ptr<RawCall>> calls;
    for (int i = 0; i < 20; ++i) {
      calls.push_back(std::make_unique<RawCall>(channel, kHold));
      ASSERT_TRUE(calls.back()->Write("x"));
    }
    ASSERT_TRUE(Eventually([&] { return seen_.started == 20; }));
  }
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_EQ(environment_.accepted, 20);
}

// --- Deadlines ---

TEST_F(TransportTest, DeadlinePassesWhileTheMessageIsMissing) {
  Start();
  RawCall call(Connect(), kEcho, milliseconds(300));
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_EQ(seen_.started, 0);
  EXPECT_EQ(Ended("Echo", "DEADLINE_EXCEEDED"), 1);
}

TEST_F(TransportTest, DeadlineStopsTheHandlerAndTheCallerGetsTheServersMessage) {
  Start();
  const RawAnswer answer = Ask(Connect(), kHold, "x", milliseconds(500));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(answer.status.error_message(), "the deadline passed in the test");
  EXPECT_EQ(seen_.reason.load(), StopReason::kDeadline);
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
}

TEST_F(TransportTest, DeadlinePassesWhileNobodyTakesTheAnswer) {
  Start();
  RawCall call(Connect(), kLarge, milliseconds(400));
  ASSERT_TRUE(call.Write("15000000"));
  EXPECT_TRUE(Eventually([&] { return seen_.ended == 1 && Idle(); }));
  EXPECT_EQ(Ended("Large", "DEADLINE_EXCEEDED"), 1);
}

TEST_F(TransportTest, ServersOwnLimitBindsCallersWithoutADeadline) {
  environment_.max_deadline = absl::Milliseconds(200);
  Start();
  const RawAnswer answer = Ask(Connect(), kHold, "x");
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(seen_.reason.load(), StopReason::kDeadline);
}

// --- Clients that keep the server waiting ---

TEST_F(TransportTest, MessageThatDoesNotComeInTimeEndsTheCall) {
  environment_.peer_limits.receive = milliseconds(200);
  Start();
  RawCall call(Connect(), kEcho);
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
}

TEST_F(TransportTest, ReaderThatStallsInAWriteIsCutOff) {
  environment_.peer_limits.stall = milliseconds(300);
  Start();
  RawCall call(Connect(), kFlood);
  ASSERT_TRUE(call.Write("x"));
  const auto began = steady_clock::now();
  ASSERT_TRUE(Eventually([&] { return seen_.started == 1 && Idle(); }));
  EXPECT_GE(steady_clock::now() - began, milliseconds(250));
  EXPECT_EQ(seen_.reason.load(), StopReason::kStalled);
  EXPECT_EQ(Ended("Flood", "RESOURCE_EXHAUSTED"), 1);
}

TEST_F(TransportTest, ReaderThatStallsInTheFinishIsCutOff) {
  environment_.peer_limits.stall = milliseconds(300);
  Start();
  // Less than the answer fits into the window of its stream, and less than 256 KiB get no further time.
  grpc::ChannelArguments small_window;
  small_window.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  small_window.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16384);
  RawCall call(Connect(small_window), kLarge);
  ASSERT_TRUE(call.Write("200000"));
  ASSERT_TRUE(Eventually([&] { return seen_.ended == 1; }));
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(Ended("Large", "RESOURCE_EXHAUSTED"), 1);
}

// --- Failures inside ---

TEST_F(TransportTest, HandlerWithoutMemoryEndsItsCallOnly) {
  Start();
  const auto channel = Connect();
  EXPECT_EQ(Ask(channel, kThrow, "x").status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Ask(channel, kEcho, "x").status.ok());
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
}

TEST_F(TransportTest, RequestsThatDoNotFitIntoTheBudgetAreRefusedAndItIsGivenBack) {
  Start();
  const auto channel = Connect();
  // One connection may hold three quarters of 64 MiB, and each held request of 1 MB stays with its call.
  std::vector<std::unique_ptr<RawCall>> calls;
  const std::string request(1'000'000, 'b');
  for (int i = 0; i < 60; ++i) {
    calls.push_back(std::make_unique<RawCall>(channel, kHold));
    calls.back()->Write(request);
    // A server that has no time to accept them takes requests for noise.
    ASSERT_TRUE(Eventually([&] { return environment_.accepted == i + 1; }));
  }
  ASSERT_TRUE(Eventually([&] { return Ended("Hold", "RESOURCE_EXHAUSTED") >= 5; }));
  EXPECT_GT(environment_.memory.used(), int64_t{30} << 20);
  calls.clear();
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
}

// --- Shutting down ---

TEST_F(TransportTest, DrainLetsARunningCallEnd) {
  Start();
  RawCall running(Connect(), kHold);
  ASSERT_TRUE(running.Write("x"));
  ASSERT_TRUE(Eventually([&] { return seen_.held != nullptr; }));
  std::thread drain([this] { server_->Drain(absl::Seconds(10)); });
  EXPECT_TRUE(Eventually([&] { return environment_.draining.load(); }));
  seen_.held.load()->Set();
  EXPECT_EQ(running.Read(), "x");
  EXPECT_TRUE(running.Finish().ok());
  drain.join();
  EXPECT_EQ(Ended("Hold", "OK"), 1);
  EXPECT_TRUE(Idle());
}

TEST_F(TransportTest, DrainRefusesNewCallsAndStopsOldOnesAfterItsGrace) {
  Start();
  const auto channel = Connect();
  RawCall running(channel, kHold);
  ASSERT_TRUE(running.Write("x"));
  ASSERT_TRUE(Eventually([&] { return seen_.started == 1; }));
  std::thread drain([this] { server_->Drain(absl::Seconds(1)); });
  EXPECT_TRUE(Eventually([&] { return environment_.draining.load(); }));
  const RawAnswer late = Ask(channel, kEcho, "x");
  EXPECT_EQ(late.status.error_code(), grpc::StatusCode::UNAVAILABLE) << late.status.error_message();
  const grpc::Status status = running.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  drain.join();
  EXPECT_EQ(seen_.reason.load(), StopReason::kDraining);
  EXPECT_TRUE(Idle());
}

TEST_F(TransportTest, DrainDoesNotWaitForAPeerThatTakesNothing) {
  Start();
  RawCall call(Connect(), kFlood);
  ASSERT_TRUE(call.Write("x"));
  ASSERT_TRUE(Eventually([&] { return seen_.started == 1; }));
  const auto began = steady_clock::now();
  server_->Drain(absl::Milliseconds(300));
  // gRPC itself would cancel the call two seconds later.
  EXPECT_LT(steady_clock::now() - began, std::chrono::milliseconds(2200));
  EXPECT_TRUE(Idle());
}

// --- Many ---

TEST_F(TransportTest, ThousandsOfCallsOfAllEndsLeaveNothing) {
  Start(/*loops=*/2);
  constexpr int kThreads = 4;
  constexpr int kCalls = 500;
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto channel = Connect();
      for (int i = 0; i < kCalls; ++i) {
        switch ((i + thread) % 5) {
          case 0:
          case 1:
            if (Ask(channel, kEcho, "x").status.ok()) ++answered;
            break;
          case 2: {
            RawCall call(channel, kHold);
            call.Write("x");
            break;
          }
          case 3: {
            const RawCall call(channel, kEcho);
            break;
          }
          case 4:
            Ask(channel, kHold, "x", milliseconds(1 + i % 7));
            break;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, kThreads * kCalls * 2 / 5);
  EXPECT_TRUE(Eventually([&] { return Idle(); }));
  EXPECT_TRUE(Ask(Connect(), kEcho, "still here").status.ok());
}

}  // namespace
}  // namespace predictd
