#include "server/async/async_event.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "server/async/task.h"

namespace predictd {
namespace {

Task<> CountWaits(AsyncEvent& event, int& waits, int most) {
  while (waits < most) {
    co_await event.Wait();
    ++waits;
  }
}

TEST(AsyncEventTest, WaiterGoesOnWhenItIsSet) {
  AsyncEvent event;
  int waits = 0;
  Detach(CountWaits(event, waits, 2));
  EXPECT_EQ(waits, 0);
  event.Set();
  EXPECT_EQ(waits, 1);
  event.Set();
  EXPECT_EQ(waits, 2);
  event.Set();
}

TEST(AsyncEventTest, SeveralSetsBeforeAWaitCountAsOne) {
  AsyncEvent event;
  event.Set();
  event.Set();
  int waits = 0;
  Detach(CountWaits(event, waits, 2));
  EXPECT_EQ(waits, 1);
  event.Set();
  EXPECT_EQ(waits, 2);
}

// Takes what the producer has counted, until that is everything.
Task<> Follow(AsyncEvent& event, const std::atomic<int>& produced, std::atomic<int>& seen, int all) {
  while (seen < all) {
    co_await event.Wait();
    seen = produced.load();
  }
}

TEST(AsyncEventTest, NoSetIsLostBetweenThreads) {
  for (int round = 0; round < 200; ++round) {
    constexpr int kAll = 100;
    AsyncEvent event;
    std::atomic<int> produced{0};
    std::atomic<int> seen{0};
    std::jthread consumer([&] { Detach(Follow(event, produced, seen, kAll)); });
    for (int i = 0; i < kAll; ++i) {
      ++produced;
      event.Set();
    }
    consumer.join();
    while (seen < kAll) std::this_thread::yield();
  }
}

}  // namespace
}  // namespace predictd
