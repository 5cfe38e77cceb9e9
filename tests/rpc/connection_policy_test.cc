#include "server/rpc/connection_policy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

#include "server/rpc/peer_connection.h"

namespace predictd {
namespace {

constexpr int64_t kMiB = 1 << 20;

// What happens between two looks.
struct Step {
  double seconds = 0.1;
  int64_t read = 0;
  int64_t written = 0;
  int64_t begun = 0;
  int64_t served = 0;
  int64_t message_bytes = 0;
  int64_t ended = 0;
  int64_t ended_unserved = 0;
  int64_t cancelled = 0;
  int64_t messages_served = 0;
  int64_t messages_given_up = 0;
};

struct Case {
  const char* name;
  std::vector<Step> steps;
  // How often the steps are repeated.
  int times = 1;
  Verdict verdict = Verdict::kKeep;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.name;
}

class ConnectionHistory {
 public:
  explicit ConnectionHistory(const ConnectionPolicy& policy) : ledger_(policy, TimePoint()) {}

  Verdict Look(const Step& step) {
    now_.at += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(step.seconds));
    now_.read_bytes += step.read;
    now_.written_bytes += step.written;
    now_.calls.begun += step.begun;
    now_.calls.served += step.served;
    now_.calls.message_bytes += step.message_bytes;
    now_.calls.ended += step.ended;
    now_.calls.ended_unserved += step.ended_unserved;
    now_.calls.cancelled += step.cancelled;
    now_.calls.messages_served += step.messages_served;
    now_.calls.messages_given_up += step.messages_given_up;
    return ledger_.Look(now_);
  }
  const ConnectionLedger& ledger() const { return ledger_; }

 private:
  ConnectionSnapshot now_;
  ConnectionLedger ledger_;
};

class ConnectionPolicyTest : public testing::TestWithParam<Case> {
 protected:
  const ConnectionPolicy policy_{.max_message_bytes = 64 * kMiB};
};

TEST_P(ConnectionPolicyTest, EndsWithItsVerdict) {
  ConnectionHistory history(policy_);
  Verdict verdict = Verdict::kKeep;
  for (int i = 0; i < GetParam().times; ++i) {
    for (const Step& step : GetParam().steps) {
      EXPECT_EQ(verdict, Verdict::kKeep) << "in round " << i;
      verdict = history.Look(step);
    }
  }
  EXPECT_EQ(verdict, GetParam().verdict);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConnectionPolicyTest,
    testing::Values(
        Case{"silence", {{.seconds = 3600}}, 100},
        Case{"pings, window updates and settings", {{.seconds = 1, .read = kMiB / 2}}, 1000},
        Case{"a flood of frames without a call", {{.read = 5 * kMiB}}, 1, Verdict::kNoise},
        Case{"a slow flood", {{.seconds = 1, .read = kMiB}, {.seconds = 1, .read = 7 * kMiB}}, 1, Verdict::kNoise},
        Case{"window updates of who reads much", {{.read = 10 * kMiB, .written = 20 * kMiB}}, 100},
        Case{"small calls",
             {{.read = 400'000, .begun = 1000, .served = 1000, .message_bytes = 300'000, .ended = 1000}},
             9},
        Case{"calls with large headers",
             {{.read = 16'000'000, .begun = 1000, .served = 1000, .message_bytes = 1000, .ended = 1000}},
             9},
        Case{"a large message that takes its time",
             {{.read = 60 * kMiB, .begun = 1},
              {.seconds = 20},
              {.read = 4 * kMiB, .served = 1, .message_bytes = 64 * kMiB, .ended = 1}},
             9},
        Case{"many large messages at a time",
             {{.read = 1000 * kMiB, .begun = 20}, {.served = 20, .message_bytes = 1000 * kMiB, .ended = 20}},
             9},
        Case{"a message that is counted before its bytes",
             {{.begun = 1, .served = 1, .message_bytes = 64 * kMiB, .ended = 1}, {.read = 64 * kMiB}},
             9},
        Case{
            "more than a message can be", {{.read = 60 * kMiB, .begun = 1}, {.read = 9 * kMiB}}, 1, Verdict::kHalfSent},
        Case{"large messages that are given up half-way",
             {{.read = 60 * kMiB, .begun = 1}, {.ended = 1, .ended_unserved = 1, .cancelled = 1}},
             100},
        Case{"messages that go on after their calls were refused",
             {{.read = 4000, .begun = 20, .ended = 20, .ended_unserved = 20},
              {.read = 300 * kMiB},
              {.read = 300 * kMiB}},
             9},
        Case{"a message that goes on after its deadline, and another",
             {{.read = 10 * kMiB, .begun = 1},
              {.read = 10 * kMiB, .ended = 1, .ended_unserved = 1},
              {.read = 100 * kMiB, .begun = 1},
              {.read = 14 * kMiB, .served = 1, .message_bytes = 64 * kMiB, .ended = 1}},
             9},
        Case{"a message that goes on after the server has lost patience with its call",
             {{.read = 10 * kMiB, .begun = 1},
              {.seconds = 4, .ended = 1, .ended_unserved = 1},
              {.seconds = 4, .read = 50 * kMiB}},
             9},
        Case{"more than was left of a refused call's message",
             {{.read = 200, .begun = 1, .ended = 1, .ended_unserved = 1}, {.read = 66 * kMiB}},
             1,
             Verdict::kNoise},
        Case{"a flood long after a refused call",
             {{.read = 200, .begun = 1, .ended = 1, .ended_unserved = 1}, {.seconds = 6, .read = 8 * kMiB}},
             1,
             Verdict::kNoise},
        Case{"a flood after a call",
             {{.read = 400, .begun = 1, .served = 1, .message_bytes = 300, .ended = 1}, {.read = 5 * kMiB}},
             1,
             Verdict::kNoise},
        Case{"cancelled calls",
             {{.read = 5 * kMiB,
               .begun = 10'000,
               .served = 10'000,
               .message_bytes = 3 * kMiB,
               .ended = 10'000,
               .cancelled = 10'000}},
             9}));

TEST(ConnectionLedgerTest, KnowsWhatIsHalfSent) {
  const ConnectionPolicy policy{.max_message_bytes = 64 * kMiB};
  ConnectionHistory history(policy);
  history.Look({.read = 30 * kMiB, .begun = 3});
  EXPECT_GT(history.ledger().half_sent_bytes(), 29 * kMiB);
  EXPECT_LE(history.ledger().half_sent_bytes(), 30 * kMiB);
  // One message arrives and one call gives up, so the third keeps its share of what is left.
  history.Look({.served = 1, .message_bytes = 10 * kMiB});
  history.Look({.ended = 1, .ended_unserved = 1, .cancelled = 1});
  EXPECT_NEAR(static_cast<double>(history.ledger().half_sent_bytes()), 10.0 * kMiB, 1.0 * kMiB);
  history.Look({.served = 1, .message_bytes = 10 * kMiB});
  EXPECT_EQ(history.ledger().half_sent_bytes(), 0);
}

// One stream of many requests brings what no headers explain: the frames of its messages.
TEST(ConnectionLedgerTest, AStreamMayGoOnForEver) {
  constexpr int64_t kFrame = 1024;
  constexpr int64_t kFrameHeader = 9;
  for (const int64_t message : {int64_t{0}, int64_t{20}, kMiB}) {
    const ConnectionPolicy policy{.max_message_bytes = 4 * kMiB};
    const auto connection = std::make_shared<PeerConnection>("peer", "group");
    ConnectionUse use;
    use.Begin(connection);
    ConnectionLedger ledger(policy, TimePoint());
    ConnectionSnapshot now;
    for (int i = 0; i < 2000; ++i) {
      constexpr int kMessages = 100;
      for (int k = 0; k < kMessages; ++k) {
        use.OnMessage(message, /*more_may_follow=*/true);
        now.read_bytes += message + 5 + (1 + (message + 5) / kFrame) * kFrameHeader;
      }
      now.at += std::chrono::milliseconds(100);
      now.calls = connection->counts();
      ASSERT_EQ(ledger.Look(now), Verdict::kKeep) << i << " looks at messages of " << message;
    }
  }
}

// A frame may hold thousands of messages, and what its header is missed by them must not hide anything else.
TEST(ConnectionLedgerTest, TinyMessagesDoNotHideWhatIsHalfSent) {
  const ConnectionPolicy policy{.max_message_bytes = 64 * kMiB};
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse stream;
  stream.Begin(connection);
  ConnectionUse upload;
  upload.Begin(connection);
  ConnectionLedger ledger(policy, TimePoint());
  ConnectionSnapshot now{.at = {}, .calls = connection->counts()};
  EXPECT_EQ(ledger.Look(now), Verdict::kKeep);
  int64_t uploaded = 0;
  for (int i = 0; i < 500; ++i) {
    constexpr int kMessages = 1000;
    constexpr int64_t kUploaded = 50'000;
    for (int k = 0; k < kMessages; ++k) stream.OnMessage(1, /*more_may_follow=*/true);
    uploaded += kUploaded;
    now.read_bytes += kMessages * 6 + 9 + kUploaded + 9 * (1 + kUploaded / 16384);
    now.at += std::chrono::milliseconds(50);
    now.calls = connection->counts();
    ASSERT_EQ(ledger.Look(now), Verdict::kKeep);
  }
  EXPECT_GT(ledger.half_sent_bytes(), uploaded * 3 / 4);
}

// The counts are taken later than the bytes, so the messages of a burst may come before its bytes.
TEST(ConnectionLedgerTest, FramesMayBeCountedAfterTheirMessages) {
  const ConnectionPolicy policy{.max_message_bytes = kMiB};
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse stream;
  stream.Begin(connection);
  ConnectionLedger ledger(policy, TimePoint());
  ConnectionSnapshot now;
  for (int i = 0; i < 1000; ++i) {
    for (int k = 0; k < 1000; ++k) stream.OnMessage(100, /*more_may_follow=*/true);
    now.calls = connection->counts();
    ASSERT_EQ(ledger.Look(now), Verdict::kKeep) << i;
    now.read_bytes += int64_t{1000} * (100 + 5 + 9);
    now.at += std::chrono::milliseconds(50);
    ASSERT_EQ(ledger.Look(now), Verdict::kKeep) << i;
  }
  EXPECT_LE(ledger.half_sent_bytes(), kMiB / 8);
}

// They are whole messages, and the server lets them wait.
TEST(ConnectionLedgerTest, WhatWaitsToBeReadIsNotHalfSent) {
  const ConnectionPolicy policy{.max_message_bytes = 64 * kMiB};
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse stream;
  stream.Begin(connection);
  ConnectionLedger ledger(policy, TimePoint());
  ledger.Look({.at = {}, .calls = connection->counts()});
  stream.Pause(true);
  ledger.Look({.at = TimePoint(std::chrono::seconds(1)), .read_bytes = 60'000, .calls = connection->counts()});
  EXPECT_EQ(ledger.half_sent_bytes(), 0);
  // That is more than may wait.
  ledger.Look({.at = TimePoint(std::chrono::seconds(2)), .read_bytes = 10 * kMiB, .calls = connection->counts()});
  EXPECT_GT(ledger.half_sent_bytes(), 9 * kMiB);
  stream.Pause(false);
  ledger.Look({.at = TimePoint(std::chrono::seconds(3)), .read_bytes = 10 * kMiB, .calls = connection->counts()});
  EXPECT_GT(ledger.half_sent_bytes(), 10 * kMiB - 50'000);
}

// The second large message is the stream's own as long as the stream awaits one.
TEST(ConnectionLedgerTest, AStreamsLaterMessagesMayTakeTheirTimeToo) {
  const ConnectionPolicy policy{.max_message_bytes = 64 * kMiB};
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse use;
  use.Begin(connection);
  ConnectionLedger ledger(policy, TimePoint());
  ConnectionSnapshot now{.at = TimePoint(std::chrono::seconds(1)), .read_bytes = 64 * kMiB, .calls = {}};
  use.OnMessage(64 * kMiB, /*more_may_follow=*/true);
  now.calls = connection->counts();
  EXPECT_EQ(ledger.Look(now), Verdict::kKeep);
  now.read_bytes += 60 * kMiB;
  now.at += std::chrono::milliseconds(50);
  EXPECT_EQ(ledger.Look(now), Verdict::kKeep);
  now.read_bytes += 90 * kMiB;
  now.at += std::chrono::milliseconds(50);
  EXPECT_EQ(ledger.Look(now), Verdict::kHalfSent);
}

TEST(ConnectionLedgerTest, LetsOwedBytesComeForAWhile) {
  const ConnectionPolicy policy{.max_message_bytes = 64 * kMiB};
  ConnectionLedger ledger(policy, TimePoint());
  ledger.Owe(300 * kMiB, TimePoint());
  EXPECT_EQ(ledger.Look({.at = TimePoint(std::chrono::seconds(1)), .read_bytes = 200 * kMiB, .calls = {}}),
            Verdict::kKeep);
  EXPECT_EQ(ledger.Look({.at = TimePoint(std::chrono::seconds(6)), .read_bytes = 290 * kMiB, .calls = {}}),
            Verdict::kNoise);
}

TEST(ConnectionLedgerTest, CountsCancelledCallsBeyondAnsweredOnesAndForgetsThem) {
  const ConnectionPolicy policy;
  ConnectionHistory history(policy);
  history.Look({.seconds = 0, .begun = 1000, .ended = 1000, .cancelled = 400});
  EXPECT_EQ(history.ledger().resets(), 0);
  history.Look({.seconds = 0, .begun = 1000, .ended = 1000, .cancelled = 900});
  EXPECT_EQ(history.ledger().resets(), 800);
  history.Look({.seconds = 3});
  EXPECT_NEAR(history.ledger().resets(), 100, 1);
}

TEST(ConnectionLedgerTest, CountsMessagesThatWereGivenUpLikeCancelledCalls) {
  const ConnectionPolicy policy;
  ConnectionHistory history(policy);
  history.Look({.seconds = 0, .begun = 10, .ended = 10, .messages_served = 640});
  EXPECT_EQ(history.ledger().resets(), 0);
  history.Look({.seconds = 0, .begun = 20, .ended = 20, .cancelled = 20, .messages_given_up = 1280});
  EXPECT_EQ(history.ledger().resets(), 1300);
}

}  // namespace
}  // namespace predictd
