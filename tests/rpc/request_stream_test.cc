// Tests streams of many requests, on a server in this process: each request is answered or stopped on its own, and
// whatever becomes of the stream, all of them end.

#include "server/rpc/request_stream.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/rpc/stream_fixture.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr char kMany[] = "/test.Stream/Many";
constexpr char kEchoOnce[] = "/test.Echo/Echo";

// A channel whose reader takes little ahead.
grpc::ChannelArguments SmallWindow() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16384);
  return arguments;
}

// Whoever does not read the last answers does not learn of the status.
grpc::Status ReadToTheEnd(RawCall& call) {
  while (call.Read().has_value()) {
  }
  return call.Finish();
}

TEST_F(StreamTest, AnswersEveryMessage) {
  Start();
  RawCall call(Connect(), kMany);
  EXPECT_EQ(call.Exchange({"echo a", "echo b", "work c"}), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(Ended("Many", "OK"), 1);
}

TEST_F(StreamTest, AStreamWithoutMessagesIsFine) {
  Start();
  RawCall call(Connect(), kMany);
  ASSERT_TRUE(call.WriteNothing());
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(Ended("Many", "OK"), 1);
}

TEST_F(StreamTest, AnswersComeAsTheyComplete) {
  Start();
  RawCall call(Connect(), kMany);
  for (const char* message : {"hold a", "hold b", "hold c", "echo d"}) ASSERT_TRUE(call.WriteOne(message));
  EXPECT_EQ(call.Read(), "d");
  for (const char* text : {"c", "a", "b"}) {
    EXPECT_TRUE(Release(text));
    EXPECT_EQ(call.Read(), text);
  }
  ASSERT_TRUE(call.WriteNothing());
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(StreamTest, AnErrorOfOneRequestLeavesTheOthers) {
  Start();
  RawCall call(Connect(), kMany);
  ASSERT_TRUE(call.WriteOne("hold a"));
  ASSERT_TRUE(call.WriteOne("fail b"));
  EXPECT_EQ(call.Read(), "error: b");
  EXPECT_TRUE(Release("a"));
  EXPECT_EQ(call.Read(), "a");
  ASSERT_TRUE(call.WriteNothing());
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(StreamTest, AllAnswersComeAfterTheCallerHasSentEverything) {
  Start();
  RawCall call(Connect(), kMany);
  for (const char* message : {"hold a", "hold b", "hold c"}) ASSERT_TRUE(call.WriteOne(message));
  ASSERT_TRUE(call.WriteNothing());
  ASSERT_TRUE(Eventually([&] { return holding() == 3; }));
  for (const char* text : {"b", "c", "a"}) EXPECT_TRUE(Release(text));
  for (const char* text : {"b", "c", "a"}) EXPECT_EQ(call.Read(), text);
  EXPECT_EQ(call.Read(), std::nullopt);
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(StreamTest, ReadsTheNextMessageWhenFewerRequestsRun) {
  options_.max_running = 2;
  Start();
  RawCall call(Connect(), kMany);
  for (const char* message : {"hold a", "hold b", "hold c"}) ASSERT_TRUE(call.WriteOne(message));
  ASSERT_TRUE(Eventually([&] { return holding() == 2; }));
  EXPECT_EQ(seen_.started, 2);
  EXPECT_TRUE(Release("a"));
  EXPECT_EQ(call.Read(), "a");
  ASSERT_TRUE(Eventually([&] { return holding() == 2; }));
  EXPECT_TRUE(Release("c"));
  EXPECT_TRUE(Release("b"));
  EXPECT_EQ(call.Read(), "c");
  EXPECT_EQ(call.Read(), "b");
}

TEST_F(StreamTest, ReadsOnItsLoopAfterARequestThatEndedOnAWorker) {
  options_.max_running = 1;
  Start();
  RawCall call(Connect(), kMany);
  EXPECT_EQ(call.Exchange(std::vector<std::string>(100, "work a")), std::vector<std::string>(100, "a"));
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_EQ(begun_elsewhere_, 0);
}

TEST_F(StreamTest, MessagesThatAreTooLargeAreRefusedOneByOne) {
  Start();
  RawCall call(Connect(), kMany);
  ASSERT_TRUE(call.WriteOne(std::string((size_t{1} << 20) + 1, 'b')));
  EXPECT_EQ(call.Read(), "refused");
  ASSERT_TRUE(call.WriteOne("echo a"));
  EXPECT_EQ(call.Read(), "a");
}

TEST_F(StreamTest, MessagesThatDoNotFitIntoTheBudgetAreRefusedOneByOne) {
  Start();
  RawCall call(Connect(), kMany);
  // One connection may hold three quarters of 64 MiB.
  const std::string filler(900'000, 'b');
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(call.WriteOne(absl::StrCat("hold ", i, filler)));
  EXPECT_EQ(call.Read(), "refused");
  EXPECT_GT(environment_.memory.used(), int64_t{40} << 20);
}

TEST_F(StreamTest, AnswersThatWaitForTheReaderAreInTheBudget) {
  Start();
  RawCall call(Connect(SmallWindow()), kMany);
  // One connection may hold three quarters of 64 MiB.
  constexpr int kAnswers = 60;
  for (int i = 0; i < kAnswers; ++i) ASSERT_TRUE(call.WriteOne("large 1000000"));
  EXPECT_TRUE(Eventually([&] { return seen_.started == kAnswers && environment_.memory.used() > int64_t{40} << 20; }));
  ASSERT_TRUE(call.WriteNothing());
  int sent = 0;
  int refused = 0;
  while (const std::optional<std::string> answer = call.Read()) ++(*answer == "no room" ? refused : sent);
  EXPECT_EQ(sent + refused, kAnswers);
  EXPECT_GT(refused, 5);
  EXPECT_GT(sent, 40);
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
}

TEST_F(StreamTest, EachMessageIsReportedBesideItsStream) {
  Start();
  RawCall call(Connect(), kMany);
  EXPECT_EQ(call.Exchange({"echo a", "fail b", "work c"}).size(), 3U);
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(Ended("Many.message", "OK"), 2);
  EXPECT_EQ(Ended("Many.message", "INVALID_ARGUMENT"), 1);
  EXPECT_EQ(Ended("Many", "OK"), 1);
}

TEST_F(StreamTest, AConnectionsMessagesCountAsMuchAsCalls) {
  constexpr int kRequests = 50;
  Start();
  std::shared_ptr<PeerConnection> connection;
  {
    RawCall call(Connect(), kMany);
    connection = ConnectionOf(call);
    ASSERT_NE(connection, nullptr);
    EXPECT_TRUE(Eventually([&] { return connection->counts().answered() == 1; }));
    for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(call.WriteOne(absl::StrCat("hold ", i)));
    ASSERT_TRUE(Eventually([&] { return holding() == kRequests; }));
  }
  EXPECT_TRUE(AllOver(1));
  // The stream itself is one of them.
  EXPECT_EQ(connection->counts().given_up(), kRequests + 1);
  EXPECT_EQ(connection->counts().answered(), 1);
}

TEST_F(StreamTest, AStreamThatIsNotReadFromIsKnown) {
  options_.max_running = 1;
  Start();
  RawCall call(Connect(), kMany);
  const std::shared_ptr<PeerConnection> connection = ConnectionOf(call);
  ASSERT_NE(connection, nullptr);
  ASSERT_TRUE(call.WriteOne("hold a"));
  EXPECT_TRUE(Eventually([&] { return connection->counts().paused == 1; }));
  EXPECT_TRUE(Eventually([&] { return Release("a"); }));
  EXPECT_EQ(call.Read(), "a");
  EXPECT_TRUE(Eventually([&] { return connection->counts().paused == 0; }));
}

TEST_F(StreamTest, ThereAreOnlySoManyStreams) {
  environment_.max_request_streams = 2;
  Start();
  const auto channel = Connect();
  {
    RawCall first(channel, kMany);
    RawCall second(channel, kMany);
    ASSERT_TRUE(Eventually([&] { return environment_.accepted == 2; }));
    RawCall third(channel, kMany, std::chrono::seconds(10));
    const grpc::Status status = third.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(status.error_message(), "there are 2 streams of requests already");
    EXPECT_EQ(third.Trailer("grpc-retry-pushback-ms"), "200");
    EXPECT_TRUE(Ask(channel, kEchoOnce, "a").status.ok());
  }
  EXPECT_TRUE(AllOver(4));
  RawCall call(channel, kMany);
  EXPECT_EQ(call.Exchange({"echo a"}), std::vector<std::string>{"a"});
}

// --- Deadlines of their own ---

TEST_F(StreamTest, TheDefaultDeadlineIsThatOfEachMessage) {
  environment_.default_deadline = absl::Milliseconds(100);
  Start();
  RawCall call(Connect(), kMany);
  for (const char* text : {"a", "b"}) {
    ASSERT_TRUE(call.WriteOne(absl::StrCat("hold ", text)));
    EXPECT_EQ(call.Read(), absl::StrCat("late ", text));
  }
  ASSERT_TRUE(call.WriteNothing());
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_EQ(stopped(StopReason::kDeadline), 2);
}

TEST_F(StreamTest, ARequestsOwnDeadlineStopsItAlone) {
  Start();
  RawCall call(Connect(), kMany);
  ASSERT_TRUE(call.WriteOne("hold a"));
  ASSERT_TRUE(call.WriteOne("within 20 b"));
  EXPECT_EQ(call.Read(), "late b");
  EXPECT_EQ(stopped(StopReason::kDeadline), 1);
  EXPECT_TRUE(Release("a"));
  EXPECT_EQ(call.Read(), "a");
  ASSERT_TRUE(call.WriteNothing());
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(StreamTest, ARequestWithADeadlineMayEndOnAWorker) {
  Start();
  RawCall call(Connect(), kMany);
  const std::vector<std::string> messages(200, "far a");
  EXPECT_EQ(call.Exchange(messages), std::vector<std::string>(200, "a"));
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
}

// --- The stream ends early ---

TEST_F(StreamTest, CancelStopsAllRequests) {
  constexpr int kRequests = 50;
  Start();
  {
    RawCall call(Connect(), kMany);
    for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(call.WriteOne(absl::StrCat("hold ", i)));
    ASSERT_TRUE(Eventually([&] { return holding() == kRequests; }));
  }
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(stopped(StopReason::kCancelled), kRequests);
  EXPECT_EQ(answered_late_, 0);
  EXPECT_TRUE(Eventually([&] { return Ended("Many", "CANCELLED") == 1; }));
}

TEST_F(StreamTest, CancelWhileNothingRunsEndsTheStream) {
  Start();
  {
    RawCall call(Connect(), kMany);
    ASSERT_TRUE(call.WriteOne("echo a"));
    EXPECT_EQ(call.Read(), "a");
  }
  EXPECT_TRUE(AllOver(1));
  EXPECT_TRUE(Eventually([&] { return Ended("Many", "CANCELLED") == 1; }));
}

TEST_F(StreamTest, TheCallsDeadlineStopsAllRequests) {
  Start();
  RawCall call(Connect(), kMany, milliseconds(500));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(call.WriteOne(absl::StrCat("hold ", i)));
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(stopped(StopReason::kDeadline), seen_.started);
}

TEST_F(StreamTest, TheServersLimitBindsStreams) {
  environment_.max_deadline = absl::Milliseconds(500);
  Start();
  RawCall call(Connect(), kMany, std::chrono::minutes(5));
  ASSERT_TRUE(call.WriteOne("hold a"));
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status.error_message(), "the deadline passed in the stream");
  EXPECT_TRUE(AllOver(1));
}

TEST_F(StreamTest, AnErrorThatARequestEndsWithEndsTheStream) {
  Start();
  RawCall call(Connect(), kMany);
  ASSERT_TRUE(call.WriteOne("hold a"));
  ASSERT_TRUE(call.WriteOne("end all of it"));
  const grpc::Status status = ReadToTheEnd(call);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "all of it");
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(stopped(StopReason::kFailed), 1);
}

TEST_F(StreamTest, AHandlerThatThrowsEndsItsStreamOnly) {
  Start();
  const auto channel = Connect();
  for (const char* message : {"throw a", "workthrow a"}) {
    RawCall call(channel, kMany);
    RawCall other(channel, kMany);
    ASSERT_TRUE(call.WriteOne("hold a"));
    ASSERT_TRUE(call.WriteOne(message));
    EXPECT_EQ(ReadToTheEnd(call).error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_EQ(other.Exchange({"echo a"}), std::vector<std::string>{"a"});
  }
  EXPECT_TRUE(AllOver(4));
  EXPECT_EQ(stopped(StopReason::kFailed), 2);
}

// --- Clients that keep the server waiting ---

TEST_F(StreamTest, AReaderThatTakesNothingHoldsUpTheStreamAndIsCutOff) {
  environment_.peer_limits.stall = milliseconds(500);
  options_ = {.max_running = 4, .window = {.bytes = 256 << 10, .messages = 3}};
  Start();
  RawCall call(Connect(SmallWindow()), kMany);
  // At some point the stream takes no more, and only its end lets this go on.
  int sent = 0;
  const std::string padding(10'000, ' ');
  while (sent < 10'000 && call.WriteOne("large 50000" + padding)) ++sent;
  EXPECT_LT(sent, 10'000);
  EXPECT_TRUE(AllOver(1));
  EXPECT_EQ(Ended("Many", "RESOURCE_EXHAUSTED"), 1);
  // Beside the window and those who wait for it, only what the transport itself had taken.
  EXPECT_GE(seen_.started, 7);
  EXPECT_LE(seen_.started, 14);
}

TEST_F(StreamTest, ASilentStreamIsNotCutOff) {
  environment_.peer_limits.receive = milliseconds(200);
  Start();
  const auto channel = Connect();
  RawCall stream(channel, kMany);
  ASSERT_TRUE(stream.WriteOne("echo a"));
  EXPECT_EQ(stream.Read(), "a");
  // This one waits for its message no longer than the stream waits for its next.
  RawCall other(channel, kEchoOnce);
  EXPECT_EQ(other.Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ASSERT_TRUE(stream.WriteOne("echo b"));
  EXPECT_EQ(stream.Read(), "b");
  ASSERT_TRUE(stream.WriteNothing());
  EXPECT_TRUE(stream.Finish().ok());
}

// --- Shutting down ---

TEST_F(StreamTest, DrainLetsStartedRequestsEndAndRefusesFurtherOnes) {
  Start();
  const auto channel = Connect();
  RawCall busy(channel, kMany);
  RawCall idle(channel, kMany);
  ASSERT_TRUE(busy.WriteOne("hold a"));
  ASSERT_TRUE(Eventually([&] { return holding() == 1 && environment_.accepted == 2; }));
  std::thread drain([this] { server_->Drain(absl::Seconds(20)); });
  // Both learn of the drain in the same turn of their loop.
  const grpc::Status of_idle = idle.Finish();
  EXPECT_EQ(of_idle.error_code(), grpc::StatusCode::UNAVAILABLE) << of_idle.error_message();
  busy.WriteOne("echo late");
  EXPECT_TRUE(Release("a"));
  EXPECT_EQ(busy.Read(), "a");
  EXPECT_EQ(busy.Read(), std::nullopt);
  const grpc::Status of_busy = busy.Finish();
  EXPECT_EQ(of_busy.error_code(), grpc::StatusCode::UNAVAILABLE) << of_busy.error_message();
  EXPECT_EQ(busy.Trailer("grpc-retry-pushback-ms"), "1000");
  drain.join();
  EXPECT_EQ(seen_.started, 1);
  EXPECT_EQ(stopped(StopReason::kDraining), 0);
  EXPECT_TRUE(Idle());
}

TEST_F(StreamTest, DrainStopsRequestsAfterItsGrace) {
  Start();
  RawCall call(Connect(), kMany);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(call.WriteOne(absl::StrCat("hold ", i)));
  ASSERT_TRUE(Eventually([&] { return holding() == 5; }));
  std::thread drain([this] { server_->Drain(absl::Milliseconds(700)); });
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  drain.join();
  EXPECT_EQ(stopped(StopReason::kDraining), 5);
  EXPECT_TRUE(Idle());
}

// --- Many ---

TEST_F(StreamTest, OneStreamCarriesMoreThanTheBudgetHolds) {
  Start();
  RawCall call(Connect(), kMany);
  // 80 MB of messages, of which a connection may hold 48 MiB at a time.
  const std::string bytes(100'000, 'b');
  const std::vector<std::string> answers = call.Exchange(std::vector<std::string>(800, "echo " + bytes));
  EXPECT_EQ(answers.size(), 800U);
  EXPECT_TRUE(std::all_of(answers.begin(), answers.end(), [&](const std::string& answer) { return answer == bytes; }));
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
}

TEST_F(StreamTest, ThousandsOfMessagesAreAllAnswered) {
  Start();
  RawCall call(Connect(), kMany);
  std::vector<std::string> messages;
  std::vector<std::string> expected;
  for (int i = 0; i < 5000; ++i) {
    messages.push_back(absl::StrCat(i % 3 == 0 ? "work " : "echo ", i));
    expected.push_back(absl::StrCat(i));
  }
  std::vector<std::string> answers = call.Exchange(messages);
  std::sort(answers.begin(), answers.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(answers, expected);
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_TRUE(AllOver(1));
}

TEST_F(StreamTest, ManyStreamsOfAllEndsLeaveNothing) {
  Start(/*loops=*/2);
  constexpr int kThreads = 4;
  constexpr int kStreams = 40;
  std::atomic<int> complete{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto channel = Connect();
      for (int i = 0; i < kStreams; ++i) {
        RawCall call(channel, kMany);
        switch ((i + thread) % 4) {
          case 0:
            if (call.Exchange(std::vector<std::string>(50, "work a")).size() == 50 && call.Finish().ok()) ++complete;
            break;
          case 1:
            for (int k = 0; k < 10; ++k) call.WriteOne(absl::StrCat("hold ", thread, " ", i, " ", k));
            break;
          case 2:
            call.WriteOne("work a");
            call.WriteOne("workend a");
            ReadToTheEnd(call);
            break;
          case 3:
            for (int k = 0; k < 10; ++k) call.WriteOne(absl::StrCat("within ", k, " ", thread, " ", i, " ", k));
            break;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(complete, kThreads * kStreams / 4);
  EXPECT_TRUE(AllOver(int64_t{kThreads} * kStreams));
}

}  // namespace
}  // namespace predictd
