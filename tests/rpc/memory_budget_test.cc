#include "server/rpc/memory_budget.h"

#include <gtest/gtest.h>

#include <limits>

namespace predictd {
namespace {

TEST(MemoryBudgetTest, GivesNoMoreThanThereIs) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.Take(60));
  EXPECT_FALSE(budget.Take(41));
  EXPECT_TRUE(budget.Take(40));
  EXPECT_EQ(budget.used(), 100);
  budget.Give(60);
  EXPECT_TRUE(budget.Take(60));
}

TEST(MemoryBudgetTest, WhatWasRefusedTakesNothing) {
  MemoryBudget budget(100);
  EXPECT_FALSE(budget.Take(std::numeric_limits<int64_t>::max() / 2));
  EXPECT_EQ(budget.used(), 0);
}

TEST(MemoryShareTest, GivesBackWhatItTookWhenItGoes) {
  MemoryBudget budget(100);
  {
    MemoryShare share(budget);
    EXPECT_TRUE(share.Take(30));
    EXPECT_TRUE(share.Take(30));
    EXPECT_FALSE(share.Take(50));
    EXPECT_EQ(budget.used(), 60);
    EXPECT_EQ(share.bytes(), 60);
  }
  EXPECT_EQ(budget.used(), 0);
}

}  // namespace
}  // namespace predictd
