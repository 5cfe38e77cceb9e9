#include "server/async/timer_heap.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

namespace predictd {
namespace {

using std::chrono::milliseconds;

TimePoint At(int ms) {
  return TimePoint(milliseconds(ms));
}

// Tests with timers that record their number when they fire.
class TimerHeapTest : public testing::Test {
 protected:
  std::unique_ptr<Timer> NotingTimer(int number) {
    return std::make_unique<Timer>(heap_, [this, number] { fired_.push_back(number); });
  }

  TimerHeap heap_;
  std::vector<int> fired_;
};

TEST_F(TimerHeapTest, WithoutTimersNextIsNever) {
  EXPECT_EQ(heap_.next(), kNever);
  heap_.FireDue(kNever);
}

TEST_F(TimerHeapTest, NextIsTheEarliest) {
  const auto late = NotingTimer(1);
  const auto early = NotingTimer(2);
  late->Arm(At(20));
  early->Arm(At(10));
  EXPECT_EQ(heap_.next(), At(10));
  early->Disarm();
  EXPECT_EQ(heap_.next(), At(20));
}

TEST_F(TimerHeapTest, FiresWhatIsDueInOrderOfTime) {
  const auto third = NotingTimer(3);
  const auto first = NotingTimer(1);
  const auto second = NotingTimer(2);
  const auto later = NotingTimer(4);
  third->Arm(At(30));
  first->Arm(At(10));
  second->Arm(At(20));
  later->Arm(At(31));
  heap_.FireDue(At(30));
  EXPECT_EQ(fired_, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(heap_.size(), 1U);
}

TEST_F(TimerHeapTest, DoesNotFireEarly) {
  const auto timer = NotingTimer(1);
  timer->Arm(At(10));
  heap_.FireDue(At(10) - Duration(1));
  EXPECT_TRUE(fired_.empty());
  heap_.FireDue(At(10));
  EXPECT_EQ(fired_, std::vector<int>{1});
}

TEST_F(TimerHeapTest, FiresOnceForEachArming) {
  const auto timer = NotingTimer(1);
  timer->Arm(At(10));
  heap_.FireDue(At(10));
  heap_.FireDue(At(20));
  EXPECT_EQ(fired_.size(), 1U);
  timer->Arm(At(30));
  heap_.FireDue(At(30));
  EXPECT_EQ(fired_.size(), 2U);
}

TEST_F(TimerHeapTest, ArmingAgainReplacesTheTime) {
  const auto timer = NotingTimer(1);
  timer->Arm(At(10));
  timer->Arm(At(50));
  EXPECT_EQ(heap_.size(), 1U);
  heap_.FireDue(At(10));
  EXPECT_TRUE(fired_.empty());
  heap_.FireDue(At(50));
  EXPECT_EQ(fired_.size(), 1U);
}

TEST_F(TimerHeapTest, TimerArmedForNeverDoesNotFire) {
  const auto timer = NotingTimer(1);
  timer->Arm(At(10));
  timer->Arm(kNever);
  EXPECT_EQ(heap_.size(), 0U);
  heap_.FireDue(kNever);
  EXPECT_TRUE(fired_.empty());
}

TEST_F(TimerHeapTest, DestroyedTimerDoesNotFire) {
  auto timer = NotingTimer(1);
  timer->Arm(At(10));
  timer.reset();
  EXPECT_EQ(heap_.size(), 0U);
  heap_.FireDue(At(10));
  EXPECT_TRUE(fired_.empty());
}

TEST_F(TimerHeapTest, DisarmingTwiceIsHarmless) {
  const auto timer = NotingTimer(1);
  timer->Disarm();
  timer->Arm(At(10));
  timer->Disarm();
  timer->Disarm();
  EXPECT_EQ(heap_.size(), 0U);
}

TEST_F(TimerHeapTest, FunctionMayArmItsOwnTimerAgain) {
  std::optional<Timer> heartbeat;
  int beats = 0;
  heartbeat.emplace(heap_, [&] { heartbeat->Arm(At(100 * (++beats + 1))); });
  heartbeat->Arm(At(100));
  heap_.FireDue(At(350));
  EXPECT_EQ(beats, 3);
  EXPECT_EQ(heap_.next(), At(400));
}

TEST_F(TimerHeapTest, FunctionMayDestroyItsOwnTimer) {
  std::optional<Timer> timer;
  auto alive = std::make_shared<int>(0);
  timer.emplace(heap_, [&timer, alive] {
    timer.reset();
    ++*alive;
  });
  timer->Arm(At(10));
  heap_.FireDue(At(10));
  EXPECT_FALSE(timer.has_value());
  EXPECT_EQ(*alive, 1);
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(TimerHeapTest, FunctionMayDisarmAndDestroyOthersThatAreDueAsWell) {
  auto disarmed = NotingTimer(1);
  auto destroyed = NotingTimer(2);
  Timer first(heap_, [&] {
    disarmed->Disarm();
    destroyed.reset();
  });
  first.Arm(At(10));
  disarmed->Arm(At(11));
  destroyed->Arm(At(12));
  heap_.FireDue(At(20));
  EXPECT_TRUE(fired_.empty());
  EXPECT_EQ(heap_.size(), 0U);
}

TEST_F(TimerHeapTest, TimerArmedInAFunctionForATimeThatIsDueFiresInTheSameRound) {
  const auto second = NotingTimer(2);
  Timer first(heap_, [&] { second->Arm(At(15)); });
  first.Arm(At(10));
  heap_.FireDue(At(20));
  EXPECT_EQ(fired_, std::vector<int>{2});
}

TEST_F(TimerHeapTest, ThousandsOfTimersFireInOrderAfterEverySecondOneIsDisarmed) {
  constexpr int kTimers = 5000;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < kTimers; ++i) timers.push_back(NotingTimer(i));
  // The factor 2,654,435,761 scatters the times, which are distinct because it is coprime to the modulus.
  for (int i = 0; i < kTimers; ++i) timers[i]->Arm(At(static_cast<int>(i * 2654435761ULL % 8192)));
  for (int i = 0; i < kTimers; i += 2) timers[i]->Disarm();
  heap_.FireDue(At(8192));
  ASSERT_EQ(fired_.size(), kTimers / 2);
  for (size_t i = 1; i < fired_.size(); ++i) {
    EXPECT_LT(fired_[i - 1] * 2654435761ULL % 8192, fired_[i] * 2654435761ULL % 8192);
  }
}

}  // namespace
}  // namespace predictd
