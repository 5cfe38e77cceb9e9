#include "server/rpc/peer_watch.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

using Late = PeerWatch::Late;
using std::chrono::milliseconds;
using std::chrono::seconds;

class PeerWatchTest : public testing::Test {
 protected:
  // Sends `bytes` to a reader that takes them in `took`.
  void Send(int64_t bytes, Duration took) {
    watch_.BeginSending(now_);
    now_ += took;
    watch_.EndSending(now_, bytes);
  }

  const PeerLimits limits_ = {.receive = seconds(10), .stall = seconds(30), .least_rate = 1000};
  PeerWatch watch_{limits_};
  TimePoint now_ = TimePoint(seconds(1000));
};

TEST_F(PeerWatchTest, NobodyIsLateWhileNothingWaits) {
  const PeerWatch::Verdict verdict = watch_.Look(now_ + seconds(1000), false);
  EXPECT_EQ(verdict.late, Late::kNo);
  EXPECT_FALSE(verdict.cancel);
  EXPECT_EQ(verdict.again, seconds(10));
}

TEST_F(PeerWatchTest, AMessageThatDoesNotArriveIsLateAfterItsTime) {
  watch_.BeginReceiving(now_);
  EXPECT_EQ(watch_.Look(now_ + seconds(9), false).late, Late::kNo);
  EXPECT_EQ(watch_.Look(now_ + seconds(9), false).again, seconds(1));
  EXPECT_EQ(watch_.Look(now_ + seconds(10), false).late, Late::kMessage);
}

TEST_F(PeerWatchTest, AReaderWhoTakesNothingIsLateAfterTheStallTimeOut) {
  watch_.BeginSending(now_);
  EXPECT_EQ(watch_.Look(now_ + seconds(29), false).late, Late::kNo);
  EXPECT_EQ(watch_.Look(now_ + seconds(30), false).late, Late::kReader);
}

TEST_F(PeerWatchTest, ALargeMessageGetsTimeForItsBytes) {
  watch_.BeginSending(now_, 20 * PeerWatch::kSteadyRate);
  EXPECT_EQ(watch_.Look(now_ + seconds(49), false).late, Late::kNo);
  EXPECT_EQ(watch_.Look(now_ + seconds(50), false).late, Late::kReader);
}

TEST_F(PeerWatchTest, WhatHasArrivedIsNotLate) {
  watch_.BeginReceiving(now_);
  watch_.EndReceiving();
  EXPECT_EQ(watch_.Look(now_ + seconds(100), false).late, Late::kNo);
}

TEST_F(PeerWatchTest, AReaderWhoTakesALittleNowAndThenIsLate) {
  Send(17'000, seconds(20));
  EXPECT_EQ(watch_.Look(now_, false).late, Late::kNo);
  Send(17'000, seconds(20));
  watch_.BeginSending(now_);
  EXPECT_EQ(watch_.Look(now_, false).late, Late::kReader);
}

TEST_F(PeerWatchTest, ASlowReaderWhoKeepsTheRateIsNot) {
  for (int i = 0; i < 100; ++i) {
    Send(20'000, seconds(15));
    watch_.BeginSending(now_);
    EXPECT_EQ(watch_.Look(now_, false).late, Late::kNo);
    watch_.EndSending(now_, 0);
  }
}

TEST_F(PeerWatchTest, OnlyTimeThatAWriteWaitedCountsForTheRate) {
  for (int i = 0; i < 100; ++i) {
    Send(10, milliseconds(1));
    now_ += seconds(60);
  }
  watch_.BeginSending(now_);
  EXPECT_EQ(watch_.Look(now_, false).late, Late::kNo);
}

TEST_F(PeerWatchTest, WhoKeepsAStoppedCallWaitingIsCancelledAfterAMoment) {
  watch_.BeginSending(now_);
  EXPECT_FALSE(watch_.Look(now_ + milliseconds(199), true).cancel);
  EXPECT_TRUE(watch_.Look(now_ + milliseconds(200), true).cancel);
}

TEST_F(PeerWatchTest, AStoppedCallThatWaitsForNobodyIsNotCancelled) {
  EXPECT_FALSE(watch_.Look(now_ + seconds(100), true).cancel);
}

TEST_F(PeerWatchTest, WaitsForAMessageAndForTheReaderAreWatchedBesideEachOther) {
  watch_.BeginReceiving(now_);
  watch_.BeginSending(now_ + seconds(5));
  EXPECT_EQ(watch_.Look(now_ + seconds(9), false).again, seconds(1));
  EXPECT_EQ(watch_.Look(now_ + seconds(10), false).late, Late::kMessage);
  watch_.EndReceiving();
  EXPECT_EQ(watch_.Look(now_ + seconds(34), false).late, Late::kNo);
  EXPECT_EQ(watch_.Look(now_ + seconds(35), false).late, Late::kReader);
}

TEST_F(PeerWatchTest, TheEndOfAWaitForTheReaderLeavesTheOneForAMessage) {
  watch_.BeginReceiving(now_);
  watch_.BeginSending(now_ + seconds(5));
  watch_.EndSending(now_ + seconds(6), 1);
  EXPECT_EQ(watch_.Look(now_ + seconds(9), false).late, Late::kNo);
  EXPECT_EQ(watch_.Look(now_ + seconds(10), false).late, Late::kMessage);
}

TEST_F(PeerWatchTest, EitherWaitKeepsAStoppedCallFromItsEnd) {
  watch_.BeginReceiving(now_);
  EXPECT_TRUE(watch_.Look(now_ + milliseconds(200), true).cancel);
  watch_.BeginSending(now_ + milliseconds(150));
  EXPECT_TRUE(watch_.Look(now_ + milliseconds(200), true).cancel);
  watch_.EndReceiving();
  EXPECT_FALSE(watch_.Look(now_ + milliseconds(200), true).cancel);
}

TEST(PeerWatchLimitsTest, WithoutLimitsNobodyIsEverLate) {
  const PeerLimits none;
  PeerWatch watch(none);
  watch.BeginSending(TimePoint());
  const PeerWatch::Verdict verdict = watch.Look(TimePoint() + std::chrono::hours(24 * 300), false);
  EXPECT_EQ(verdict.late, Late::kNo);
  // The limit can be added to a time.
  EXPECT_LT(verdict.again, std::chrono::hours(24 * 366));
}

}  // namespace
}  // namespace predictd
