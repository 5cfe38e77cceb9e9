#include "server/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace predictd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The value of the sample whose name and labels are exactly `series`.
double Sample(const std::string& text, const std::string& series) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  ADD_FAILURE() << "no sample " << series << " in\n" << text;
  return std::nan("");
}

TEST(MetricsTest, CountersAndGaugesAreExposedWithHelpTypeAndLabels) {
  MetricsRegistry registry;
  auto& requests = registry.AddCounter("predictd_requests_total", "Calls that ended.", {"model", "code"});
  requests.With({"digits", "OK"}).Increment();
  requests.With({"digits", "OK"}).Increment(2);
  requests.With({"digits", "INTERNAL"}).Increment();
  Gauge& depth = registry.AddGauge("predictd_queue_depth", "Requests that wait.").With();
  depth.Set(3.5);
  depth.Increment();
  depth.Decrement();
  depth.Add(-1);
  const std::string text = registry.ExpositionText();
  EXPECT_THAT(text,
              HasSubstr("# HELP predictd_requests_total Calls that ended.\n# TYPE predictd_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE predictd_queue_depth gauge\n"));
  EXPECT_EQ(Sample(text, "predictd_requests_total{model=\"digits\",code=\"OK\"}"), 3);
  EXPECT_EQ(Sample(text, "predictd_requests_total{model=\"digits\",code=\"INTERNAL\"}"), 1);
  EXPECT_EQ(Sample(text, "predictd_queue_depth"), 2.5);
}

TEST(MetricsTest, SharedMetricEndsWithItsLastUserAndBeginsAtZero) {
  MetricsRegistry registry;
  auto& queued = registry.AddGauge("queued", "", {"model"});
  std::shared_ptr<Gauge> one = queued.Share({"m"});
  std::shared_ptr<Gauge> other = queued.Share({"m"});
  one->Set(5);
  one = nullptr;
  EXPECT_EQ(Sample(registry.ExpositionText(), "queued{model=\"m\"}"), 5);
  other = nullptr;
  EXPECT_THAT(registry.ExpositionText(), Not(HasSubstr("queued{")));
  EXPECT_EQ(queued.Share({"m"})->value(), 0);
  queued.With({"m"}).Set(1);
  queued.Share({"m"})->Increment();
  EXPECT_EQ(Sample(registry.ExpositionText(), "queued{model=\"m\"}"), 2) << "With keeps it for good";
}

TEST(MetricsTest, LargeCountersAreExact) {
  MetricsRegistry registry;
  registry.AddCounter("bytes_total", "").With().Increment(uint64_t{1} << 53);
  EXPECT_THAT(registry.ExpositionText(), HasSubstr("bytes_total 9007199254740992\n"));
}

TEST(MetricsTest, HistogramBucketsAreCumulativeAndBoundsInclusive) {
  MetricsRegistry registry;
  Histogram& latency =
      registry.AddHistogram("predictd_seconds", "Latency.", {0.1, 0.5, 2.5}, {"rpc"}).With({"Predict"});
  for (const double value : {0.1, 0.1000001, 0.5, 1.0, 99.0, -1.0}) latency.Observe(value);
  latency.Observe(std::numeric_limits<double>::quiet_NaN());
  const std::string text = registry.ExpositionText();
  EXPECT_EQ(Sample(text, "predictd_seconds_bucket{rpc=\"Predict\",le=\"0.1\"}"), 2);
  EXPECT_EQ(Sample(text, "predictd_seconds_bucket{rpc=\"Predict\",le=\"0.5\"}"), 4);
  EXPECT_EQ(Sample(text, "predictd_seconds_bucket{rpc=\"Predict\",le=\"2.5\"}"), 5);
  EXPECT_EQ(Sample(text, "predictd_seconds_bucket{rpc=\"Predict\",le=\"+Inf\"}"), 6);
  EXPECT_EQ(Sample(text, "predictd_seconds_count{rpc=\"Predict\"}"), 6);
  EXPECT_NEAR(Sample(text, "predictd_seconds_sum{rpc=\"Predict\"}"), 99.7, 0.001);
}

TEST(MetricsTest, LabelValuesCannotBreakTheFormat) {
  MetricsRegistry registry;
  auto& family = registry.AddCounter("c_total", "", {"model"});
  family.With({"a\"b\\c"}).Increment();
  family.With({"x\"} 1\nforged_total 7"}).Increment();
  family.With({"bad\xFFutf8"}).Increment();
  const std::string text = registry.ExpositionText();
  EXPECT_THAT(text, HasSubstr("c_total{model=\"a\\\"b\\\\c\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nforged_total")));
  EXPECT_THAT(text, HasSubstr("c_total{model=\"bad\xEF\xBF\xBDutf8\"} 1\n"));
}

TEST(MetricsTest, AReferenceStaysValidWhileTheFamilyGrows) {
  MetricsRegistry registry;
  auto& family = registry.AddCounter("c_total", "", {"model"});
  Counter& first = family.With({"0"});
  for (int i = 1; i < 500; ++i) family.With({std::to_string(i)});
  EXPECT_EQ(&family.With({"0"}), &first);
}

TEST(MetricsTest, LabelValuesBeyondTheLimitShareOneMetric) {
  MetricsRegistry registry;
  auto& family = registry.AddCounter("c_total", "", {"model"});
  for (int i = 0; i < 5000; ++i) family.With({std::to_string(i)}).Increment();
  EXPECT_NE(&family.With({"0"}), &family.With({"999"}));
  EXPECT_EQ(&family.With({"1000"}), &family.With({"4999"}));
  EXPECT_EQ(Sample(registry.ExpositionText(), "c_total{model=\"_other\"}"), 4000);
}

TEST(MetricsTest, ExponentialBoundsGrowByTheFactor) {
  EXPECT_EQ(ExponentialBounds(0.5, 2, 4), (std::vector<double>{0.5, 1, 2, 4}));
}

TEST(MetricsTest, EveryExpositionIsConsistentWhileOthersObserve) {
  constexpr int kThreads = 3;
  constexpr int kPerThread = 20000;
  MetricsRegistry registry;
  auto& family = registry.AddHistogram("h_seconds", "", ExponentialBounds(0.001, 2, 10), {"rpc"});
  Counter& counter = registry.AddCounter("c_total", "").With();
  std::atomic<int> running{kThreads};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Histogram& histogram = family.With({"Predict"});
      for (int i = 0; i < kPerThread; ++i) {
        histogram.Observe(0.0005 * ((i + t) % 2048));
        counter.Increment();
        if (i % 1000 == 0) family.With({std::to_string(i)});
      }
      running.fetch_sub(1);
    });
  }
  double last = 0;
  while (running.load() > 0) {
    const std::string text = registry.ExpositionText();
    if (text.find("h_seconds_count{rpc=\"Predict\"}") == std::string::npos) continue;
    const double count = Sample(text, "h_seconds_count{rpc=\"Predict\"}");
    EXPECT_EQ(count, Sample(text, "h_seconds_bucket{rpc=\"Predict\",le=\"+Inf\"}"));
    EXPECT_GE(count, Sample(text, "h_seconds_bucket{rpc=\"Predict\",le=\"0.512\"}"));
    EXPECT_GE(count, last);
    last = count;
  }
  threads.clear();
  const std::string text = registry.ExpositionText();
  EXPECT_EQ(Sample(text, "h_seconds_count{rpc=\"Predict\"}"), kThreads * kPerThread);
  EXPECT_EQ(Sample(text, "c_total"), kThreads * kPerThread);
}

TEST(MetricsDeathTest, ErrorsInTheProgramAbort) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  MetricsRegistry registry;
  auto& family = registry.AddCounter("taken_total", "", {"a"});
  EXPECT_DEATH(registry.AddGauge("taken_total", ""), "name is taken metric=taken_total");
  EXPECT_DEATH(registry.AddCounter("dashed-name", ""), "name is malformed");
  EXPECT_DEATH(registry.AddCounter("a_total", "two\nlines"), "line break");
  EXPECT_DEATH(registry.AddCounter("b_total", "", {"__reserved"}), "label is malformed");
  EXPECT_DEATH(registry.AddHistogram("h_seconds", "", {1, 1}), "not finite and ascending");
  EXPECT_DEATH(family.With({"one", "two"}), "wrong number of labels metric=taken_total expected=1 got=2");
}

}  // namespace
}  // namespace predictd
