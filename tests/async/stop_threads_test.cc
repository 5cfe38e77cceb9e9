#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <latch>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "server/async/stop.h"

namespace predictd {
namespace {

TEST(StopThreadsTest, OfManyThreadsThatStopOneWins) {
  constexpr int kThreads = 6;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    StopSource source;
    std::atomic<int> winners{0};
    std::atomic<StopReason> winning{StopReason::kNone};
    int runs = 0;
    const StopCallback callback(source, [&] { ++runs; });
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, reason = t % 2 == 0 ? StopReason::kCancelled : StopReason::kDeadline] {
        if (!source.RequestStop(reason)) return;
        ++winners;
        winning = reason;
      });
    }
    threads.clear();
    ASSERT_EQ(winners, 1);
    ASSERT_EQ(source.reason(), winning);
    ASSERT_EQ(runs, 1);
  }
}

// `ended` is plain memory, so that ThreadSanitizer, too, would report a destructor that does not wait.
TEST(StopThreadsTest, DestructorWaitsForTheCallOnAnotherThread) {
  for (int round = 0; round < 200; ++round) {
    StopSource source;
    std::latch entered(1);
    std::latch destroying(1);
    bool ended = false;
    auto callback = std::make_unique<StopCallback>(source, [&] {
      entered.count_down();
      destroying.wait();
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      ended = true;
    });
    std::jthread stopper([&] { source.RequestStop(StopReason::kCancelled); });
    entered.wait();
    destroying.count_down();
    callback.reset();
    ASSERT_TRUE(ended) << "round " << round;
  }
}

// The destructor of a callback that waits for its turn does not wait for the call of another one.
TEST(StopThreadsTest, DestructorDoesNotWaitForOtherCallbacks) {
  StopSource source;
  std::latch entered(1);
  std::latch release(1);
  bool other_ran = false;
  auto other = std::make_unique<StopCallback>(source, [&] { other_ran = true; });
  // This one runs before `other`, because the callback that was registered last is called first.
  const StopCallback blocking(source, [&] {
    entered.count_down();
    release.wait();
  });
  std::jthread stopper([&] { source.RequestStop(StopReason::kCancelled); });
  entered.wait();
  other.reset();
  release.count_down();
  stopper.join();
  EXPECT_FALSE(other_ran);
}

// What a callback writes to. It is freed together with the callback, so that a late call is a use after free, which the
// sanitizers see.
struct Registration {
  explicit Registration(StopSource& source, std::atomic<int64_t>& calls) {
    callback.emplace(source, [this, &calls] {
      ++runs;
      ++calls;
    });
  }
  int runs = 0;
  std::optional<StopCallback> callback;
};

// Registers and unregisters at random. Requests the stop in step `stop_at`, if there is such a step.
void RegisterAndUnregister(StopSource& source, uint32_t seed, int stop_at, std::atomic<int64_t>& calls,
                           std::atomic<bool>& wrong) {
  constexpr int kSteps = 200;
  std::minstd_rand random(seed);
  std::vector<std::unique_ptr<Registration>> held;
  const auto unregister = [&held, &wrong] {
    held.back()->callback.reset();
    if (held.back()->runs > 1) wrong = true;
    held.pop_back();
  };
  for (int step = 0; step < kSteps; ++step) {
    if (step == stop_at) source.RequestStop(StopReason::kCancelled);
    if (held.empty() || (held.size() < 8 && random() % 2 == 0)) {
      held.push_back(std::make_unique<Registration>(source, calls));
    } else {
      std::swap(held[random() % held.size()], held.back());
      unregister();
    }
  }
  while (!held.empty()) unregister();
}

TEST(StopThreadsTest, StormOfRegistrationsAndAStopCallsEachAtMostOnce) {
  constexpr int kThreads = 4;
  for (int seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    StopSource source;
    std::atomic<int64_t> calls{0};
    std::atomic<bool> wrong{false};
    std::barrier start(kThreads);
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        RegisterAndUnregister(source, seed * kThreads + t, t == 0 ? seed : -1, calls, wrong);
      });
    }
    threads.clear();
    EXPECT_TRUE(source.stopped());
    EXPECT_FALSE(wrong);
    EXPECT_GE(calls, 1) << "the thread that stopped had callbacks, or registered some afterwards";
  }
}

// If a registration and a stop happen at the same time, the callback is called exactly once, by one of the two threads.
TEST(StopThreadsTest, CallbackIsNeverMissedWhenRegistrationRacesWithTheStop) {
  for (int round = 0; round < 1000; ++round) {
    StopSource source;
    std::atomic<int> runs{0};
    std::optional<StopCallback> callback;
    {
      std::jthread stopper([&] { source.RequestStop(StopReason::kDeadline); });
      callback.emplace(source, [&] { ++runs; });
    }
    ASSERT_EQ(runs, 1) << "round " << round;
  }
}

// Parts of a call end while the call is stopped on another thread, and while each is stopped alone on a third.
TEST(StopThreadsTest, ChildrenEndWhileTheyAndTheirParentAreStopped) {
  constexpr int kRounds = 300;
  for (int round = 0; round < kRounds; ++round) {
    StopSource parent;
    std::barrier start(3);
    int calls = 0;
    {
      auto child = std::make_unique<ChildStopSource>(parent);
      auto sibling = std::make_unique<ChildStopSource>(parent);
      const auto callback = std::make_unique<StopCallback>(*child, [&calls] { ++calls; });
      std::latch alone(1);
      std::jthread stopper([&] {
        start.arrive_and_wait();
        parent.RequestStop(StopReason::kCancelled);
      });
      std::jthread timer([&] {
        start.arrive_and_wait();
        child->RequestStop(StopReason::kDeadline);
        alone.count_down();
      });
      start.arrive_and_wait();
      sibling.reset();
      // Whoever stops a source makes sure that it is alive; that it has stopped does not mean that its callback has
      // run.
      alone.wait();
    }
    ASSERT_EQ(calls, 1) << "round " << round;
  }
}

// The coroutine whose part was stopped goes on on the thread that stops, and ends the part on another one.
TEST(StopThreadsTest, AChildEndsOnAnotherThreadThanTheOneThatStopsIt) {
  for (int round = 0; round < 200; ++round) {
    StopSource parent;
    auto child = std::make_unique<ChildStopSource>(parent);
    std::latch entered(1);
    bool ended = false;
    auto callback = std::make_unique<StopCallback>(*child, [&] {
      entered.count_down();
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      ended = true;
    });
    std::jthread stopper([&] {
      round % 2 == 0 ? parent.RequestStop(StopReason::kCancelled) : child->RequestStop(StopReason::kDeadline);
    });
    entered.wait();
    callback.reset();
    child.reset();
    ASSERT_TRUE(ended) << "round " << round;
  }
}

}  // namespace
}  // namespace predictd
