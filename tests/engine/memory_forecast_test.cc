#include "server/engine/memory_forecast.h"

#include <gtest/gtest.h>

#include <limits>

namespace predictd {
namespace {

TEST(MemoryForecastTest, WithoutARunNothingIsKnown) {
  EXPECT_EQ(MemoryForecast().Expect(64, 1000), 0);
}

TEST(MemoryForecastTest, AfterOneBatchBytesGrowAsElementsDo) {
  MemoryForecast forecast;
  forecast.Record(1, 10, 1000);
  EXPECT_EQ(forecast.Expect(4, 10), 4000);
  EXPECT_EQ(forecast.Expect(1, 30), 3000);
  EXPECT_EQ(forecast.Expect(2, 30), 6000);
}

TEST(MemoryForecastTest, TwoBatchesTellWhatARowTakesBesideTheBatch) {
  MemoryForecast forecast;
  forecast.Record(1, 10, 1100);
  forecast.Record(2, 10, 1200);
  EXPECT_EQ(forecast.Expect(4, 10), 1400);
  forecast.Record(4, 10, 2000);
  EXPECT_EQ(forecast.Expect(8, 10), 3600) << "the last two count";
}

TEST(MemoryForecastTest, RowsOfOtherLengthsDoNotSpoilIt) {
  MemoryForecast forecast;
  forecast.Record(1, 10, 100);
  forecast.Record(1, 20, 400);
  forecast.Record(2, 10, 200);
  forecast.Record(2, 20, 800);
  EXPECT_EQ(forecast.Expect(4, 20), 1600);
}

TEST(MemoryForecastTest, IsNoLessThanWhatAnyBatchTook) {
  MemoryForecast forecast;
  forecast.Record(1, 10, 5000);
  forecast.Record(2, 10, 100);
  EXPECT_EQ(forecast.Expect(4, 10), 5000);
}

TEST(MemoryForecastTest, MoreThanANumberHoldsIsTheMost) {
  MemoryForecast forecast;
  forecast.Record(1, 1, int64_t{1} << 60);
  EXPECT_EQ(forecast.Expect(1 << 20, 1 << 20), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace predictd
