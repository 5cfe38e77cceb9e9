#include "server/serving/traffic_router.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

TrafficRouter Router(const std::vector<int64_t>& weights, double shadow_fraction = 0) {
  TrafficSplit split;
  for (const int64_t weight : weights) {
    split.shares.push_back({.version = absl::StrCat(split.shares.size() + 1), .weight = weight});
  }
  split.shadow_fraction = shadow_fraction;
  return {std::move(split), /*configured=*/true};
}

bool All(size_t) {
  return true;
}

// How many of the keys "0", "1", ... each share gets; without keys, how many of as many requests.
std::vector<int> Count(const TrafficRouter& router, int requests, bool keys) {
  std::vector<int> counts(router.split().shares.size());
  for (int i = 0; i < requests; ++i) ++counts[router.Choose(keys ? absl::StrCat(i) : "", All).value()];
  return counts;
}

TEST(TrafficRouterTest, RequestsAreHandedOutByWeight) {
  EXPECT_EQ(Count(Router({1}), 10, false), std::vector<int>{10});
  EXPECT_NEAR(Count(Router({90, 10}), 1000, false)[0], 900, 1);
  EXPECT_NEAR(Count(Router({0, 5, 5, 0}), 1000, false)[1], 500, 1);
  EXPECT_EQ(Count(Router({0, 5, 5, 0}), 1000, false)[3], 0);
  for (const int count : Count(Router({1'000'000, 1'000'000, 1'000'000}), 3000, false)) EXPECT_NEAR(count, 1000, 2);
}

TEST(TrafficRouterTest, AnyRowOfRequestsIsHandedOutByWeight) {
  const TrafficRouter router = Router({90, 10});
  for (int row = 0; row < 50; ++row) {
    const int few = Count(router, 20, false)[1];
    EXPECT_GE(few, 1) << row;
    EXPECT_LE(few, 3) << row;
  }
}

TEST(TrafficRouterTest, KeysAreHandedOutByWeight) {
  const std::vector<int> counts = Count(Router({90, 10}), 20000, true);
  EXPECT_NEAR(counts[1], 2000, 200);
}

TEST(TrafficRouterTest, KeyGetsTheSameShareOnEveryServer) {
  const TrafficRouter one = Router({50, 50});
  const TrafficRouter other = Router({50, 50});
  Count(other, 7, false);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(one.Choose(absl::StrCat("user-", i), All), other.Choose(absl::StrCat("user-", i), All));
  }
  // What a change of the hash would move to other versions, everywhere at once.
  std::string chosen;
  for (int i = 0; i < 16; ++i) absl::StrAppend(&chosen, one.Choose(absl::StrCat("user-", i), All).value());
  EXPECT_EQ(chosen, "1010001011000111");
}

TEST(TrafficRouterTest, GrowingShareKeepsItsKeys) {
  const TrafficRouter before = Router({90, 10});
  const TrafficRouter after = Router({50, 50});
  for (int i = 0; i < 2000; ++i) {
    const std::string key = absl::StrCat(i);
    if (before.Choose(key, All) == 1U) {
      EXPECT_EQ(after.Choose(key, All), 1U) << key;
    }
    // Of three shares, the first shrinks and the last grows: the one between gets some keys of the first, and gives
    // some to the last.
    const size_t earlier = Router({40, 20, 40}).Choose(key, All).value();
    const size_t later = Router({30, 20, 50}).Choose(key, All).value();
    EXPECT_GE(later, earlier) << key;
  }
}

TEST(TrafficRouterTest, ShareThatIsNotReadyGoesToTheOthersAndMovesNoOtherKeys) {
  const TrafficRouter router = Router({50, 30, 20});
  const auto ready = [](size_t share) { return share != 1; };
  std::vector<int> moved(3);
  for (int i = 0; i < 10000; ++i) {
    const std::string key = absl::StrCat(i);
    const size_t usual = router.Choose(key, All).value();
    const size_t now = router.Choose(key, ready).value();
    if (usual == 1) {
      ++moved[now];
    } else {
      EXPECT_EQ(now, usual) << key;
    }
  }
  EXPECT_EQ(moved[1], 0);
  EXPECT_NEAR(static_cast<double>(moved[0]) / moved[2], 2.5, 0.5);
  EXPECT_FALSE(router.Choose("key", [](size_t) { return false; }).has_value());
  EXPECT_FALSE(router.Choose("", [](size_t) { return false; }).has_value());
}

TEST(TrafficRouterTest, OnlyAShareWithoutWeightIsReady) {
  EXPECT_FALSE(Router({1, 0}).Choose("", [](size_t share) { return share == 1; }).has_value());
}

TEST(TrafficRouterTest, FractionOfTheRequestsIsCopied) {
  for (const double fraction : {0.0, 0.001, 0.1, 0.25, 0.5, 1.0}) {
    const TrafficRouter router = Router({1}, fraction);
    int copied = 0;
    for (int i = 0; i < 10000; ++i) copied += router.CopyNext() ? 1 : 0;
    EXPECT_NEAR(copied, 10000 * fraction, 1) << fraction;
  }
}

TEST(TrafficRouterTest, FewCopiesRunAtOnce) {
  const TrafficRouter router = Router({1}, 1);
  int running = 0;
  while (router.BeginCopy(1)) ++running;
  EXPECT_EQ(running, 8);
  router.EndCopy(1);
  EXPECT_TRUE(router.BeginCopy(1));
  for (int i = 0; i < running; ++i) router.EndCopy(1);
  EXPECT_TRUE(router.BeginCopy(int64_t{16} << 20));
  EXPECT_FALSE(router.BeginCopy(1)) << "as large as all together may be";
  router.EndCopy(int64_t{16} << 20);
  EXPECT_FALSE(router.BeginCopy((int64_t{16} << 20) + 1));
  EXPECT_TRUE(router.BeginCopy(1));
}

}  // namespace
}  // namespace predictd
