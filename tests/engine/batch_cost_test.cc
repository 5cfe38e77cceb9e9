#include "server/engine/batch_cost.h"

#include <gtest/gtest.h>

#include "server/engine/admission.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

TEST(BatchCostTest, NothingIsKnownAtFirst) {
  EXPECT_EQ(BatchCost().Estimate(1), Duration::zero());
}

TEST(BatchCostTest, FirstCountsFullyAndLaterOnesByAnEighth) {
  BatchCost cost;
  cost.Record(4, milliseconds(8));
  EXPECT_EQ(cost.Estimate(4), milliseconds(8));
  cost.Record(4, milliseconds(16));
  EXPECT_EQ(cost.Estimate(4), milliseconds(9));
}

TEST(BatchCostTest, BetweenKnownSizesItIsAStraightLine) {
  BatchCost cost;
  cost.Record(8, milliseconds(10));
  cost.Record(64, milliseconds(66));
  EXPECT_EQ(cost.Estimate(8), milliseconds(10));
  EXPECT_EQ(cost.Estimate(36), milliseconds(38));
  EXPECT_EQ(cost.Estimate(64), milliseconds(66));
}

TEST(BatchCostTest, BeyondKnownSizesItIsTheNearest) {
  BatchCost cost;
  cost.Record(8, milliseconds(10));
  cost.Record(16, milliseconds(15));
  EXPECT_EQ(cost.Estimate(1), milliseconds(10));
  EXPECT_EQ(cost.Estimate(1 << 20), milliseconds(15));
}

TEST(BatchCostTest, SizesBeyondTheLastBucketCount) {
  BatchCost cost;
  cost.Record(int64_t{1} << 40, milliseconds(3));
  EXPECT_EQ(cost.Estimate(int64_t{1} << 50), milliseconds(3));
}

TEST(BatchCostTest, RowsPayUntilTheyGetNoCheaper) {
  BatchCost cost;
  EXPECT_EQ(cost.RowsThatPay(64), 64);
  cost.Record(1, milliseconds(10));
  cost.Record(8, milliseconds(40));
  EXPECT_EQ(cost.RowsThatPay(64), 64) << "nothing is known of 64";
  // These take 10, 5, a little more than 5, and 6 ms per row.
  cost.Record(16, milliseconds(81));
  cost.Record(64, milliseconds(384));
  EXPECT_EQ(cost.RowsThatPay(64), 16);
  EXPECT_EQ(cost.RowsThatPay(10), 10);
  EXPECT_EQ(cost.RowsThatPay(1), 1);
  for (int i = 0; i < 100; ++i) cost.Record(64, milliseconds(320));
  EXPECT_EQ(cost.RowsThatPay(64), 64);
}

struct AdmissionCase {
  const char* what;
  LoadAhead load;
  int expected_ms;
};

std::ostream& operator<<(std::ostream& out, const AdmissionCase& c) {
  return out << c.what;
}

class TimeToAnswerTest : public testing::TestWithParam<AdmissionCase> {};

// 1 row takes 10 ms, 8 rows take 24 ms.
TEST_P(TimeToAnswerTest, IsWhatTheTableSays) {
  BatchCost cost;
  cost.Record(1, milliseconds(10));
  cost.Record(8, milliseconds(24));
  EXPECT_EQ(TimeToAnswer(GetParam().load, cost), milliseconds(GetParam().expected_ms));
}

const AdmissionCase kCases[] = {
    {"alone", {.max_batch_rows = 8}, 10},
    {"joins those who wait", {.rows_ahead = 7, .max_batch_rows = 8}, 24},
    {"behind a full batch others join it", {.rows_ahead = 8, .max_batch_rows = 8}, 48},
    {"behind three and a half", {.rows_ahead = 28, .max_batch_rows = 8}, 96},
    {"two workers share what is ahead", {.rows_ahead = 16, .max_batch_rows = 8, .workers = 2}, 48},
    {"half a worker", {.rows_ahead = 8, .max_batch_rows = 8, .workers = 0.5}, 72},
    {"waits for a worker", {.max_batch_rows = 8, .until_free = milliseconds(7)}, 17},
    {"a large request alone", {.rows = 8, .max_batch_rows = 8}, 24},
};

INSTANTIATE_TEST_SUITE_P(Table, TimeToAnswerTest, testing::ValuesIn(kCases));

TEST(DeadlineMarginTest, AnEighthMoreMustFitAtFirst) {
  const DeadlineMargin margin;
  EXPECT_FALSE(margin.WouldMiss(milliseconds(80), milliseconds(90)));
  EXPECT_TRUE(margin.WouldMiss(milliseconds(80), milliseconds(89)));
  EXPECT_FALSE(margin.WouldMiss(Duration::zero(), Duration::zero()));
}

TEST(DeadlineMarginTest, IsWidenedByMissesAndNarrowedByManyMoreAnswersInTime) {
  DeadlineMargin margin;
  for (int i = 0; i < 3; ++i) margin.OnMissed();
  EXPECT_TRUE(margin.WouldMiss(milliseconds(80), milliseconds(113)));
  EXPECT_FALSE(margin.WouldMiss(milliseconds(80), milliseconds(114)));
  for (int i = 0; i < 99; ++i) margin.OnMet();
  EXPECT_TRUE(margin.WouldMiss(milliseconds(80), milliseconds(90)));
  margin.OnMet();
  EXPECT_FALSE(margin.WouldMiss(milliseconds(80), milliseconds(90)));
}

TEST(DeadlineMarginTest, HasBounds) {
  DeadlineMargin margin;
  for (int i = 0; i < 1000; ++i) margin.OnMissed();
  EXPECT_FALSE(margin.WouldMiss(milliseconds(80), milliseconds(120)));
  for (int i = 0; i < 10'000; ++i) margin.OnMet();
  EXPECT_TRUE(margin.WouldMiss(milliseconds(80), milliseconds(89)));
}

}  // namespace
}  // namespace predictd
