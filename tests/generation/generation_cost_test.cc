#include "server/generation/generation_cost.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

using std::chrono::milliseconds;

TEST(GenerationCostTest, PromptBesideOthersTakesAboutOneAndAHalfOfTheirSteps) {
  GenerationCost cost;
  cost.RecordDecode(milliseconds(40));
  cost.RecordPrefill(10, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(1000, /*others_decode=*/true), 16);
  EXPECT_EQ(cost.PrefillTokens(1000, true) % GenerationCost::kPart, 0);
  cost.RecordDecode(milliseconds(80));
  EXPECT_EQ(cost.PrefillTokens(1000, true), 32);
}

TEST(GenerationCostTest, PromptAloneTakesATenthOfASecondAtATime) {
  GenerationCost cost;
  cost.RecordPrefill(10, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(1000, /*others_decode=*/false), 48);
}

TEST(GenerationCostTest, PartsAreNeitherTinyNorHuge) {
  GenerationCost cost;
  EXPECT_EQ(cost.PrefillTokens(1000, false), 64);
  cost.RecordDecode(milliseconds(1));
  cost.RecordPrefill(1, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(1000, true), 16);
  for (int i = 0; i < 100; ++i) cost.RecordPrefill(1000, milliseconds(1));
  EXPECT_EQ(cost.PrefillTokens(10'000, false), 512);
}

TEST(GenerationCostTest, SmallRestIsNotLeftForAnotherStep) {
  GenerationCost cost;
  cost.RecordPrefill(10, milliseconds(20));
  EXPECT_EQ(cost.PrefillTokens(60, false), 60);
  EXPECT_EQ(cost.PrefillTokens(61, false), 48);
  EXPECT_EQ(cost.PrefillTokens(3, false), 3);
}

TEST(GenerationCostTest, FollowsWhatStepsTake) {
  GenerationCost cost;
  EXPECT_EQ(cost.decode(), Duration::zero());
  cost.RecordDecode(milliseconds(100));
  EXPECT_EQ(cost.decode(), milliseconds(100));
  for (int i = 0; i < 30; ++i) cost.RecordDecode(milliseconds(10));
  EXPECT_LT(cost.decode(), milliseconds(11));
}

}  // namespace
}  // namespace predictd
