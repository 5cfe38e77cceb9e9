#include "server/generation/generation_cost.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

using std::chrono::milliseconds;

TEST(GenerationCostTest, PromptBesideOthersTakesAboutTwiceTheirStep) {
  GenerationCost cost;
  cost.RecordDecode(milliseconds(40));
  cost.RecordPrefill(20, milliseconds(40));
  // 40 tokens, rounded down to whole parts.
  EXPECT_EQ(cost.PrefillTokens(/*running=*/4, /*waiting=*/1), 32);
  EXPECT_EQ(cost.PrefillTokens(4, 4), 32);
}

TEST(GenerationCostTest, ThoseWhoWaitCountAsMuchAsThoseWhoRun) {
  GenerationCost cost;
  cost.RecordDecode(milliseconds(10));
  cost.RecordPrefill(20, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(/*running=*/1, /*waiting=*/4), 80);
  EXPECT_EQ(cost.PrefillTokens(4, 12), 48);
}

TEST(GenerationCostTest, StepIsNoLongerHoweverManyWait) {
  GenerationCost cost;
  cost.RecordDecode(milliseconds(10));
  cost.RecordPrefill(20, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(/*running=*/1, /*waiting=*/1000), 96);
  // If a model's own steps are longer than that, a prompt still gets its part.
  cost = {};
  cost.RecordDecode(milliseconds(200));
  cost.RecordPrefill(20, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(1, 1000), 400);
}

TEST(GenerationCostTest, PromptAloneTakesATenthOfASecondAtATime) {
  GenerationCost cost;
  cost.RecordPrefill(20, milliseconds(40));
  EXPECT_EQ(cost.PrefillTokens(/*running=*/0, /*waiting=*/1), 48);
}

TEST(GenerationCostTest, PartsAreNeitherTinyNorHuge) {
  GenerationCost cost;
  EXPECT_EQ(cost.PrefillTokens(0, 1), 64);
  cost.RecordDecode(milliseconds(1));
  cost.RecordPrefill(16, milliseconds(320));
  EXPECT_EQ(cost.PrefillTokens(1, 1), 16);
  for (int i = 0; i < 100; ++i) cost.RecordPrefill(1000, milliseconds(1));
  EXPECT_EQ(cost.PrefillTokens(0, 1), 512);
}

TEST(GenerationCostTest, OneSlowStepDoesNotUpsetTheAverageAndSeveralMoveIt) {
  GenerationCost cost;
  cost.RecordPrefill(20, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(0, 1), 96);
  cost.RecordPrefill(20, milliseconds(100));
  EXPECT_EQ(cost.PrefillTokens(0, 1), 48);
  for (int i = 0; i < 20; ++i) cost.RecordPrefill(20, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(0, 1), 96);
  for (int i = 0; i < 20; ++i) cost.RecordPrefill(20, milliseconds(100));
  EXPECT_EQ(cost.PrefillTokens(0, 1), 16);
}

TEST(GenerationCostTest, SmallRestIsNotLeftForAnotherStep) {
  EXPECT_EQ(GenerationCost::Part(/*left=*/60, /*allowed=*/48), 60);
  EXPECT_EQ(GenerationCost::Part(61, 48), 48);
  EXPECT_EQ(GenerationCost::Part(3, 48), 3);
}

TEST(GenerationCostTest, PartsEndAtMultiplesOfSixteen) {
  EXPECT_EQ(GenerationCost::Part(1000, 47), 32);
}

TEST(GenerationCostTest, ShortPartSaysLittleOfWhatATokenCosts) {
  GenerationCost cost;
  cost.RecordDecode(milliseconds(40));
  cost.RecordPrefill(2, milliseconds(32));
  EXPECT_EQ(cost.PrefillTokens(4, 1), 32);
}

TEST(GenerationCostTest, FollowsWhatStepsTake) {
  GenerationCost cost;
  cost.RecordPrefill(16, milliseconds(16));
  cost.RecordDecode(milliseconds(100));
  EXPECT_EQ(cost.PrefillTokens(1, 1), 192);
  for (int i = 0; i < 30; ++i) cost.RecordDecode(milliseconds(10));
  EXPECT_EQ(cost.PrefillTokens(1, 1), 16);
}

}  // namespace
}  // namespace predictd
