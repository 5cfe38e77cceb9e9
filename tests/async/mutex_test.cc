#include "server/async/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <thread>
#include <vector>

namespace predictd {
namespace {

// The value is plain memory behind the lock, so that ThreadSanitizer would see a lock that does not lock.
struct Counter {
  Mutex mutex;
  int64_t value ABSL_GUARDED_BY(mutex) = 0;
};

TEST(MutexTest, OnlyOneThreadAtATimeHoldsIt) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5000;
  Counter counter;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&counter] {
      for (int i = 0; i < kRounds; ++i) {
        MutexLock lock(counter.mutex);
        ++counter.value;
      }
    });
  }
  threads.clear();
  MutexLock lock(counter.mutex);
  EXPECT_EQ(counter.value, kThreads * kRounds);
}

// A queue of at most one element, so that producer and consumer wait for each other.
struct Slot {
  Mutex mutex;
  CondVar changed;
  std::deque<int> values ABSL_GUARDED_BY(mutex);
};

TEST(CondVarTest, WaiterGoesOnWhenTheConditionHolds) {
  constexpr int kValues = 2000;
  Slot slot;
  std::jthread producer([&slot] {
    for (int i = 0; i < kValues; ++i) {
      MutexLock lock(slot.mutex);
      while (!slot.values.empty()) slot.changed.Wait(slot.mutex);
      slot.values.push_back(i);
      slot.changed.NotifyOne();
    }
  });
  for (int i = 0; i < kValues; ++i) {
    MutexLock lock(slot.mutex);
    while (slot.values.empty()) slot.changed.Wait(slot.mutex);
    ASSERT_EQ(slot.values.front(), i);
    slot.values.pop_front();
    slot.changed.NotifyOne();
  }
}

TEST(CondVarTest, NotifyAllWakesEveryWaiter) {
  struct {
    Mutex mutex;
    CondVar changed;
    bool open ABSL_GUARDED_BY(mutex) = false;
    int passed ABSL_GUARDED_BY(mutex) = 0;
  } door;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&door] {
      MutexLock lock(door.mutex);
      while (!door.open) door.changed.Wait(door.mutex);
      ++door.passed;
    });
  }
  {
    MutexLock lock(door.mutex);
    door.open = true;
  }
  door.changed.NotifyAll();
  threads.clear();
  MutexLock lock(door.mutex);
  EXPECT_EQ(door.passed, 4);
}

TEST(CondVarTest, WaitUntilReturnsWithTheLockWhenTheTimeHasPassed) {
  Mutex mutex;
  CondVar never_notified;
  int guarded = 0;
  mutex.Lock();
  never_notified.WaitUntil(mutex, std::chrono::steady_clock::now() - std::chrono::seconds(1));
  std::jthread other([&] {
    MutexLock lock(mutex);
    ++guarded;
  });
  EXPECT_EQ(guarded, 0);
  mutex.Unlock();
  other.join();
  EXPECT_EQ(guarded, 1);
}

}  // namespace
}  // namespace predictd
