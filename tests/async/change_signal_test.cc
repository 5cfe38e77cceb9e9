#include "server/async/change_signal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "server/async/task.h"

namespace predictd {
namespace {

// Awaits one change after `seen`, or the stop.
Task<> AwaitChange(ChangeSignal& signal, uint64_t seen, StopSource& stop, std::atomic<int>& woken) {
  ChangeSignal::Change change(signal, seen, stop);
  co_await change;
  ++woken;
}

class ChangeSignalTest : public testing::Test {
 protected:
  void Watch() { Detach(AwaitChange(signal_, signal_.count(), stop_, woken_)); }

  ChangeSignal signal_;
  StopSource stop_;
  std::atomic<int> woken_{0};
};

TEST_F(ChangeSignalTest, WatcherWakesWithTheNextChangeAndOnlyOnce) {
  Watch();
  EXPECT_EQ(woken_, 0);
  signal_.Notify();
  EXPECT_EQ(woken_, 1);
  signal_.Notify();
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeSignalTest, EveryWatcherWakes) {
  for (int i = 0; i < 10; ++i) Watch();
  signal_.Notify();
  EXPECT_EQ(woken_, 10);
}

TEST_F(ChangeSignalTest, WatcherThatMissedAChangeGoesOnAtOnce) {
  const uint64_t seen = signal_.count();
  signal_.Notify();
  Detach(AwaitChange(signal_, seen, stop_, woken_));
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeSignalTest, StopWakesTheWatcherAndALaterChangeDoesNot) {
  Watch();
  stop_.RequestStop(StopReason::kCancelled);
  EXPECT_EQ(woken_, 1);
  signal_.Notify();
  EXPECT_EQ(woken_, 1);
}

TEST_F(ChangeSignalTest, WatcherThatIsStoppedBeforeItWaitsGoesOnAtOnce) {
  stop_.RequestStop(StopReason::kCancelled);
  Watch();
  EXPECT_EQ(woken_, 1);
}

// Follows the signal until it has seen that many changes or is stopped.
Task<> Follow(ChangeSignal& signal, uint64_t changes, StopSource& stop, std::latch& ended) {
  while (!stop.stopped()) {
    const uint64_t seen = signal.count();
    if (seen >= changes) break;
    ChangeSignal::Change change(signal, seen, stop);
    co_await change;
  }
  ended.count_down();
}

// If a wake-up got lost, a watcher would go on waiting, and the test would hang.
TEST(ChangeSignalStorm, NoWatcherMissesTheLastChangeOrItsStop) {
  constexpr int kRounds = 100;
  constexpr int kWatchers = 12;
  constexpr uint64_t kChanges = 100;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << round);
    ChangeSignal signal;
    std::vector<std::unique_ptr<StopSource>> stops;
    for (int i = 0; i < kWatchers; ++i) stops.push_back(std::make_unique<StopSource>());
    std::latch ended(kWatchers);
    std::jthread notifier([&signal] {
      for (uint64_t i = 0; i < kChanges; ++i) signal.Notify();
    });
    std::jthread stopper([&stops, round] {
      std::minstd_rand random(round + 1);
      for (const auto& stop : stops) {
        if (random() % 2 == 0) stop->RequestStop(StopReason::kCancelled);
      }
    });
    for (const auto& stop : stops) Detach(Follow(signal, kChanges, *stop, ended));
    ended.wait();
    notifier.join();
    stopper.join();
    EXPECT_EQ(signal.count(), kChanges);
  }
}

}  // namespace
}  // namespace predictd
