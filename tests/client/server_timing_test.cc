#include "client/server_timing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ServerTimingTest, ReadsDurationsAndDescriptions) {
  EXPECT_THAT(ParseServerTiming("decode;dur=0.01, queue;dur=4, batch;desc=\"8\""),
              ElementsAre(TimingMetric{"decode", absl::Microseconds(10), ""},
                          TimingMetric{"queue", absl::Milliseconds(4), ""}, TimingMetric{"batch", std::nullopt, "8"}));
}

TEST(ServerTimingTest, ToleratesBlanksCaseOrderAndQuotes) {
  EXPECT_THAT(
      ParseServerTiming(" a ; DESC = \"x, \\\"y\\\"; z\" ; Dur = \"2.5\" ,b"),
      ElementsAre(TimingMetric{"a", absl::Microseconds(2500), "x, \"y\"; z"}, TimingMetric{"b", std::nullopt, ""}));
}

TEST(ServerTimingTest, TheFirstOfEqualParametersCounts) {
  EXPECT_THAT(ParseServerTiming("a;dur=1;dur=2;desc=x;desc=y"),
              ElementsAre(TimingMetric{"a", absl::Milliseconds(1), "x"}));
}

TEST(ServerTimingTest, OtherParametersAreLeftOut) {
  EXPECT_THAT(ParseServerTiming("a;flag;more=\"1,2\";dur=1"),
              ElementsAre(TimingMetric{"a", absl::Milliseconds(1), ""}));
}

TEST(ServerTimingTest, BadEntriesDoNotHideGoodOnes) {
  EXPECT_THAT(ParseServerTiming("=,;;,a;dur=x,b;dur=inf,c dur=1,\"q,\",d;dur=1"),
              ElementsAre(TimingMetric{"a", std::nullopt, ""}, TimingMetric{"b", std::nullopt, ""},
                          TimingMetric{"c", std::nullopt, ""}, TimingMetric{"d", absl::Milliseconds(1), ""}));
  EXPECT_THAT(ParseServerTiming(""), IsEmpty());
  EXPECT_THAT(ParseServerTiming(" , ,, "), IsEmpty());
}

TEST(ServerTimingTest, UnendedQuotesEndWithTheHeader) {
  EXPECT_THAT(ParseServerTiming("a;desc=\"x\\"), ElementsAre(TimingMetric{"a", std::nullopt, "x\\"}));
}

TEST(ServerTimingTest, FindsByName) {
  const std::vector<TimingMetric> timings = ParseServerTiming("a;dur=1, b;dur=2");
  EXPECT_EQ(FindTiming(timings, "b"), &timings[1]);
  EXPECT_EQ(FindTiming(timings, "c"), nullptr);
}

}  // namespace
}  // namespace predictd
