#include "server/generation/prefix_store.h"

#include <gtest/gtest.h>

#include <numeric>

namespace predictd {
namespace {

std::vector<int32_t> Tokens(int32_t first, size_t count) {
  std::vector<int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

std::vector<int32_t> Then(std::vector<int32_t> tokens, int32_t token) {
  tokens.push_back(token);
  return tokens;
}

TEST(CommonPrefixTest, CountsEqualTokensAtTheBeginning) {
  EXPECT_EQ(CommonPrefix({}, {1, 2}), 0);
  EXPECT_EQ(CommonPrefix({1, 2, 3}, {1, 2}), 2);
  EXPECT_EQ(CommonPrefix({1, 2, 3}, {1, 4, 3}), 1);
}

TEST(PrefixStoreTest, FindsTheLongestBeginning) {
  PrefixStore store(10, 3);
  EXPECT_EQ(store.Find(Tokens(0, 100)).tokens, 0);
  EXPECT_EQ(store.Keep(Tokens(0, 50))->slot, 10);
  EXPECT_EQ(store.Keep(Then(Tokens(0, 40), 7))->slot, 11);
  const PrefixStore::Found found = store.Find(Tokens(0, 45));
  EXPECT_EQ(found.slot, 10);
  EXPECT_EQ(found.tokens, 45);
  EXPECT_EQ(store.Find(Then(Tokens(0, 40), 7)).slot, 11);
}

TEST(PrefixStoreTest, ShortOnesAreNeitherKeptNorFound) {
  PrefixStore store(0, 3);
  EXPECT_FALSE(store.Keep(Tokens(0, PrefixStore::kLeastTokens - 1)).has_value());
  EXPECT_TRUE(store.Keep(Tokens(0, 100)).has_value());
  EXPECT_EQ(store.Find(Tokens(0, PrefixStore::kLeastTokens - 1)).tokens, 0);
  EXPECT_EQ(store.Find(Tokens(0, PrefixStore::kLeastTokens)).tokens, PrefixStore::kLeastTokens);
}

TEST(PrefixStoreTest, ConversationThatGoesOnKeepsItsSlotAndAddsWhatIsNew) {
  PrefixStore store(0, 2);
  store.Keep(Tokens(0, 50));
  const auto place = store.Keep(Tokens(0, 80));
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->slot, 0);
  EXPECT_EQ(place->begin, 50);
  EXPECT_FALSE(store.Keep(Tokens(0, 60)).has_value());
  EXPECT_EQ(store.Keep(Tokens(500, 60))->slot, 1);
}

TEST(PrefixStoreTest, LeastRecentlyUsedOneMakesRoom) {
  PrefixStore store(0, 2);
  store.Keep(Tokens(0, 50));
  store.Keep(Tokens(100, 50));
  store.Find(Tokens(0, 50));
  const auto place = store.Keep(Tokens(200, 50));
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->slot, 1);
  EXPECT_EQ(place->begin, 0);
  EXPECT_EQ(store.Find(Tokens(100, 50)).tokens, 0);
}

TEST(PrefixStoreTest, WithoutSlotsKeepsNothing) {
  PrefixStore store(0, 0);
  EXPECT_FALSE(store.Keep(Tokens(0, 50)).has_value());
  EXPECT_EQ(store.Find(Tokens(0, 50)).tokens, 0);
}

TEST(PrefixStoreTest, WhatIsForgottenIsNotFound) {
  PrefixStore store(0, 1);
  store.Keep(Tokens(0, 50));
  store.Forget(0);
  EXPECT_EQ(store.Find(Tokens(0, 50)).tokens, 0);
  EXPECT_EQ(store.Keep(Tokens(0, 50))->begin, 0);
}

}  // namespace
}  // namespace predictd
