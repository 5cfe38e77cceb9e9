#include "server/rpc/connection_table.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(ConnectionTableTest, FindsAConnectionByThePeersNameUntilItIsRemoved) {
  ConnectionTable table({});
  Refusal refusal = Refusal::kTotal;
  const auto connection = table.Add("ipv4:10.0.0.7:51234", refusal);
  ASSERT_NE(connection, nullptr);
  EXPECT_EQ(refusal, Refusal::kNone);
  EXPECT_EQ(table.Find("ipv4:10.0.0.7:51234"), connection);
  EXPECT_EQ(table.Find("ipv4:10.0.0.7:51235"), nullptr);
  EXPECT_EQ(table.size(), 1U);
  table.Remove(*connection);
  EXPECT_EQ(table.Find("ipv4:10.0.0.7:51234"), nullptr);
  EXPECT_EQ(table.size(), 0U);
}

TEST(ConnectionTableTest, FindsIpv6InBothSpellingsOfGrpc) {
  ConnectionTable table({});
  Refusal refusal = Refusal::kNone;
  const auto connection = table.Add("ipv6:[::1]:51234", refusal);
  EXPECT_EQ(table.Find("ipv6:%5B::1%5D:51234"), connection);
  EXPECT_EQ(table.Find("ipv6:[::1]:51234"), connection);
  EXPECT_EQ(table.Find("ipv6:[::1]:5123"), nullptr);
}

TEST(ConnectionTableTest, RefusesMoreThanTheLimitInAll) {
  ConnectionTable table({.total = 2});
  Refusal refusal = Refusal::kNone;
  const auto first = table.Add("ipv4:10.0.0.1:1", refusal);
  ASSERT_NE(table.Add("ipv4:10.0.0.2:1", refusal), nullptr);
  EXPECT_EQ(table.Add("ipv4:10.0.0.3:1", refusal), nullptr);
  EXPECT_EQ(refusal, Refusal::kTotal);
  table.Remove(*first);
  EXPECT_NE(table.Add("ipv4:10.0.0.3:1", refusal), nullptr);
}

TEST(ConnectionTableTest, RefusesMoreThanTheLimitOfOneAddress) {
  ConnectionTable table({.per_peer = 2});
  Refusal refusal = Refusal::kNone;
  const auto first = table.Add("ipv4:10.0.0.1:1", refusal);
  ASSERT_NE(table.Add("ipv4:10.0.0.1:2", refusal), nullptr);
  EXPECT_EQ(table.Add("ipv4:10.0.0.1:3", refusal), nullptr);
  EXPECT_EQ(refusal, Refusal::kPeer);
  EXPECT_NE(table.Add("ipv4:10.0.0.2:3", refusal), nullptr);
  table.Remove(*first);
  EXPECT_NE(table.Add("ipv4:10.0.0.1:3", refusal), nullptr);
}

TEST(ConnectionTableTest, CountsIpv6ByItsNetwork) {
  ConnectionTable table({.per_peer = 1});
  Refusal refusal = Refusal::kNone;
  ASSERT_NE(table.Add("ipv6:[2001:db8:0:1::1]:1", refusal), nullptr);
  EXPECT_EQ(table.Add("ipv6:[2001:db8:0:1:ffff::2]:1", refusal), nullptr);
  EXPECT_NE(table.Add("ipv6:[2001:db8:0:2::1]:1", refusal), nullptr);
}

TEST(ConnectionTableTest, KeepsTheNewerOfTwoWithOneName) {
  ConnectionTable table({});
  Refusal refusal = Refusal::kNone;
  const auto dead = table.Add("ipv4:10.0.0.1:1", refusal);
  const auto living = table.Add("ipv4:10.0.0.1:1", refusal);
  table.Remove(*dead);
  EXPECT_EQ(table.Find("ipv4:10.0.0.1:1"), living);
  EXPECT_EQ(table.size(), 1U);
}

TEST(ConnectionTableTest, CountsThoseOfAUnixSocketButFindsNone) {
  ConnectionTable table({.total = 2});
  Refusal refusal = Refusal::kNone;
  const auto first = table.Add("unix:", refusal);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(table.Add("unix:", refusal), nullptr);
  EXPECT_EQ(table.Find("unix:"), nullptr);
  EXPECT_EQ(table.Find("unix:/run/client.sock"), nullptr);
  EXPECT_EQ(table.Add("unix:", refusal), nullptr);
  table.Remove(*first);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_NE(table.Add("unix:", refusal), nullptr);
}

TEST(ConnectionUseTest, CountsACallThatIsServed) {
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse use;
  use.Begin(connection);
  EXPECT_EQ(connection->counts().awaiting(), 1);
  use.OnMessage(120, /*more_may_follow=*/false);
  EXPECT_EQ(connection->counts().awaiting(), 0);
  EXPECT_EQ(connection->counts().message_bytes, 120);
  use.End(/*cancelled=*/false);
  EXPECT_EQ(connection->counts().ended, 1);
  EXPECT_EQ(connection->counts().cancelled, 0);
}

TEST(ConnectionUseTest, CountsACallThatIsCancelledBeforeItsMessage) {
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse use;
  use.Begin(connection);
  use.End(/*cancelled=*/true);
  EXPECT_EQ(connection->counts().awaiting(), 0);
  EXPECT_EQ(connection->counts().ended_unserved, 1);
  EXPECT_EQ(connection->counts().cancelled, 1);
}

TEST(ConnectionUseTest, AStreamAwaitsItsNextMessageUntilItsLast) {
  const auto connection = std::make_shared<PeerConnection>("peer", "group");
  ConnectionUse use;
  use.Begin(connection);
  use.OnMessage(100, /*more_may_follow=*/true);
  use.OnMessage(20, /*more_may_follow=*/true);
  EXPECT_EQ(connection->counts().awaiting(), 1);
  EXPECT_GE(connection->counts().message_bytes, 120);
  use.OnLastMessage();
  use.OnLastMessage();
  EXPECT_EQ(connection->counts().awaiting(), 0);
  use.End(/*cancelled=*/false);
  EXPECT_EQ(connection->counts().awaiting(), 0);
  EXPECT_EQ(connection->counts().ended_unserved, 0);
}

TEST(MessageMemoryTest, GivesBackWhatOneMessageHolds) {
  MemoryBudget budget(1000);
  PeerConnection connection("peer", "group");
  {
    MessageMemory first(budget, &connection);
    EXPECT_EQ(first.Hold(300), 300);
    EXPECT_TRUE(first.share().Take(300));
    MessageMemory second(budget, &connection);
    EXPECT_EQ(second.Hold(800), 1100);
    EXPECT_FALSE(second.share().Take(800));
  }
  EXPECT_EQ(budget.used(), 0);
  EXPECT_EQ(MessageMemory(budget, &connection).Hold(1), 1);
  EXPECT_EQ(MessageMemory(budget, nullptr).Hold(1), 0);
}

TEST(ConnectionUseTest, CountsNothingOfAnUnknownConnection) {
  ConnectionUse use;
  use.Begin(nullptr);
  use.OnMessage(1, /*more_may_follow=*/false);
  use.End(/*cancelled=*/true);
}

}  // namespace
}  // namespace predictd
