#include "server/rpc/health_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "server/async/task.h"

namespace predictd {
namespace {

// Awaits one change after `seen`, or the stop.
Task<> AwaitChange(HealthRegistry& registry, uint64_t seen, StopSource& stop, std::atomic<int>& woken) {
  HealthRegistry::Change change(registry, seen, stop);
  co_await change;
  ++woken;
}

class HealthRegistryTest : public testing::Test {
 protected:
  void Watch() { Detach(AwaitChange(registry_, registry_.Read("").changes, stop_, woken_)); }

  HealthRegistry registry_;
  StopSource stop_;
  std::atomic<int> woken_{0};
};

TEST_F(HealthRegistryTest, ServiceThatWasNeverSetIsUnknown) {
  EXPECT_FALSE(registry_.Read("m").serving.has_value());
}

TEST_F(HealthRegistryTest, ServiceIsWhatItWasSetTo) {
  registry_.Set("m", true);
  EXPECT_EQ(registry_.Read("m").serving, true);
  registry_.Set("m", false);
  EXPECT_EQ(registry_.Read("m").serving, false);
  EXPECT_FALSE(registry_.Read("").serving.has_value());
}

TEST_F(HealthRegistryTest, NothingServesAnyMoreAfterTheEnd) {
  registry_.Set("", true);
  registry_.Set("m", true);
  registry_.SetNotServing();
  EXPECT_EQ(registry_.Read("").serving, false);
  EXPECT_EQ(registry_.Read("m").serving, false);
  registry_.Set("m", true);
  registry_.Set("late", true);
  EXPECT_EQ(registry_.Read("m").serving, false);
  EXPECT_EQ(registry_.Read("late").serving, false);
}

TEST_F(HealthRegistryTest, WatcherWakesWithTheNextChangeAndOnlyOnce) {
  Watch();
  EXPECT_EQ(woken_, 0);
  registry_.Set("m", true);
  EXPECT_EQ(woken_, 1);
  registry_.Set("m", false);
  EXPECT_EQ(woken_, 1);
}

TEST_F(HealthRegistryTest, EveryWatcherWakes) {
  for (int i = 0; i < 10; ++i) Watch();
  registry_.SetNotServing();
  EXPECT_EQ(woken_, 10);
}

TEST_F(HealthRegistryTest, WatcherThatMissedAChangeGoesOnAtOnce) {
  const uint64_t seen = registry_.Read("m").changes;
  registry_.Set("m", true);
  Detach(AwaitChange(registry_, seen, stop_, woken_));
  EXPECT_EQ(woken_, 1);
}

TEST_F(HealthRegistryTest, StopWakesTheWatcherAndALaterChangeDoesNot) {
  Watch();
  stop_.RequestStop(StopReason::kCancelled);
  EXPECT_EQ(woken_, 1);
  registry_.Set("m", true);
  EXPECT_EQ(woken_, 1);
}

TEST_F(HealthRegistryTest, WatcherThatIsStoppedBeforeItWaitsGoesOnAtOnce) {
  stop_.RequestStop(StopReason::kCancelled);
  Watch();
  EXPECT_EQ(woken_, 1);
}

// Follows the registry as a health watch does, until it has seen that many changes or is stopped.
Task<> Follow(HealthRegistry& registry, uint64_t changes, StopSource& stop, std::latch& ended) {
  while (!stop.stopped()) {
    const HealthRegistry::Snapshot snapshot = registry.Read("m");
    if (snapshot.changes >= changes) break;
    HealthRegistry::Change change(registry, snapshot.changes, stop);
    co_await change;
  }
  ended.count_down();
}

// If a wake-up got lost, a watcher would go on waiting, and the test would hang.
TEST(HealthRegistryStorm, NoWatcherMissesTheLastChangeOrItsStop) {
  constexpr int kRounds = 100;
  constexpr int kWatchers = 12;
  constexpr uint64_t kChanges = 100;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << round);
    HealthRegistry registry;
    std::vector<std::unique_ptr<StopSource>> stops;
    for (int i = 0; i < kWatchers; ++i) stops.push_back(std::make_unique<StopSource>());
    std::latch ended(kWatchers);
    std::jthread setter([&registry] {
      for (uint64_t i = 1; i < kChanges; ++i) registry.Set("m", i % 2 == 0);
      registry.SetNotServing();
    });
    std::jthread stopper([&stops, round] {
      std::minstd_rand random(round + 1);
      for (const auto& stop : stops) {
        if (random() % 2 == 0) stop->RequestStop(StopReason::kCancelled);
      }
    });
    for (const auto& stop : stops) Detach(Follow(registry, kChanges, *stop, ended));
    ended.wait();
    setter.join();
    stopper.join();
    EXPECT_EQ(registry.Read("m").serving, false);
    EXPECT_EQ(registry.Read("m").changes, kChanges);
  }
}

}  // namespace
}  // namespace predictd
