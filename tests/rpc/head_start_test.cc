#include "server/rpc/head_start.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "server/rpc/peer_connection.h"

namespace predictd {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HeadStartTest, IsTheWayBackAndWhatATimeoutMayBeRoundedUpBy) {
  EXPECT_EQ(HeadStart(milliseconds(500), milliseconds(2)), milliseconds(3));
  EXPECT_EQ(HeadStart(seconds(2), milliseconds(2)), milliseconds(22));
  EXPECT_EQ(HeadStart(hours(1), milliseconds(2)), milliseconds(102));
}

TEST(HeadStartTest, IsATenthOfTheTimeAtMost) {
  EXPECT_EQ(HeadStart(milliseconds(20), milliseconds(2)), milliseconds(2));
  EXPECT_EQ(HeadStart(milliseconds(1), milliseconds(2)), microseconds(100));
  EXPECT_EQ(HeadStart(seconds(1), seconds(5)), milliseconds(100));
}

TEST(HeadStartTest, IsNothingOfADeadlineThatHasPassed) {
  EXPECT_EQ(HeadStart(Duration::zero(), milliseconds(2)), Duration::zero());
  EXPECT_EQ(HeadStart(-seconds(1), milliseconds(2)), Duration::zero());
}

TEST(WayBackTest, FollowsTheRoundTripAndHowLongStatusesTakeToBeSent) {
  const auto connection = std::make_shared<PeerConnection>("ipv4:127.0.0.1:1", "127.0.0.1");
  EXPECT_EQ(connection->way_back(), PeerConnection::kLeastWayBack);
  connection->NoteRoundTrip(milliseconds(30));
  EXPECT_EQ(connection->way_back(), PeerConnection::kLeastWayBack + milliseconds(30));
  for (int i = 0; i < 100; ++i) {
    ConnectionUse use;
    use.Begin(connection);
    use.OnSent(milliseconds(1));
  }
  EXPECT_GT(connection->way_back(), PeerConnection::kLeastWayBack + microseconds(31'900));
  EXPECT_LE(connection->way_back(), PeerConnection::kLeastWayBack + milliseconds(32));
}

TEST(WayBackTest, ReaderWhoTakesHisTimeGetsNoMore) {
  const auto connection = std::make_shared<PeerConnection>("ipv4:127.0.0.1:1", "127.0.0.1");
  for (int i = 0; i < 1000; ++i) {
    ConnectionUse use;
    use.Begin(connection);
    use.OnSent(seconds(30));
  }
  EXPECT_LE(connection->way_back(), PeerConnection::kLeastWayBack + 2 * PeerConnection::kMostSending);
}

TEST(WayBackTest, ConnectionsThatNothingIsKnownOfHaveTheLeast) {
  ConnectionUse use;
  use.Begin(nullptr);
  use.OnSent(seconds(1));
  EXPECT_EQ(use.way_back(), PeerConnection::kLeastWayBack);
}

}  // namespace
}  // namespace predictd
