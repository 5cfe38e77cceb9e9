#include "server/async/resume_once.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "server/async/task.h"

namespace predictd {
namespace {

// Awaits a ResumeOnce; `publish` hands it to the thread that may claim it.
template <class Publish>
struct Suspend {
  ResumeOnce& once;
  Publish publish;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    once.Prepare(waiter);
    publish();
    return once.TrySuspend();
  }
  void await_resume() const noexcept {}
};

template <class Publish>
Task<> CountResumption(ResumeOnce& once, Publish publish, std::atomic<int>& resumptions) {
  Suspend<Publish> suspend{once, publish};
  co_await suspend;
  ++resumptions;
}

TEST(ResumeOnceTest, FirstClaimWinsAndTheRestAreRefused) {
  ResumeOnce once;
  EXPECT_FALSE(once.claimed());
  EXPECT_TRUE(once.Claim());
  EXPECT_TRUE(once.claimed());
  EXPECT_FALSE(once.Claim());
  EXPECT_FALSE(once.Claim());
}

TEST(ResumeOnceTest, CoroutineStaysSuspendedUntilItIsResumed) {
  ResumeOnce once;
  std::atomic<int> resumptions{0};
  Detach(CountResumption(
      once, [] {}, resumptions));
  EXPECT_EQ(resumptions, 0);
  ASSERT_TRUE(once.Claim());
  EXPECT_EQ(resumptions, 0);
  once.Resume();
  EXPECT_EQ(resumptions, 1);
}

TEST(ResumeOnceTest, CoroutineThatIsClaimedBeforeItSuspendsGoesOnAtOnce) {
  ResumeOnce once;
  std::atomic<int> resumptions{0};
  const auto claim_at_once = [&once, &resumptions] {
    ASSERT_TRUE(once.Claim());
    once.Resume();
    EXPECT_EQ(resumptions, 0) << "resumed inside its own await_suspend";
  };
  Detach(CountResumption(once, claim_at_once, resumptions));
  EXPECT_EQ(resumptions, 1);
}

TEST(ResumeOnceTest, OfManyThreadsExactlyOneGetsTheClaim) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  std::vector<ResumeOnce> rounds(kRounds);
  std::vector<std::atomic<int>> granted(kRounds);
  std::barrier start(kThreads);
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      for (int i = 0; i < kRounds; ++i) {
        if (rounds[i].Claim()) ++granted[i];
      }
    });
  }
  threads.clear();
  for (int i = 0; i < kRounds; ++i) EXPECT_EQ(granted[i], 1) << "round " << i;
}

// The resumption races with the suspension: a second thread claims while the first one is in await_suspend.
TEST(ResumeOnceTest, RaceOfResumeAndSuspendResumesExactlyOnce) {
  constexpr int kRounds = 5000;
  std::atomic<int> resumptions{0};
  std::vector<std::unique_ptr<ResumeOnce>> rounds;
  for (int i = 0; i < kRounds; ++i) rounds.push_back(std::make_unique<ResumeOnce>());
  std::atomic<int> published{-1};
  std::jthread claimer([&] {
    int seen = -1;
    while (seen < kRounds - 1) {
      published.wait(seen);
      const int last = published.load();
      for (int i = seen + 1; i <= last; ++i) {
        if (rounds[i]->Claim()) rounds[i]->Resume();
      }
      seen = last;
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    const auto publish = [&published, i] {
      published.store(i);
      published.notify_one();
    };
    Detach(CountResumption(*rounds[i], publish, resumptions));
  }
  claimer.join();
  EXPECT_EQ(resumptions, kRounds);
}

// The coroutine sees what the winner of Claim has written, whichever thread it continues on.
TEST(ResumeOnceTest, OutcomeIsVisibleToTheCoroutine) {
  constexpr int kRounds = 1000;
  for (int i = 0; i < kRounds; ++i) {
    ResumeOnce once;
    std::atomic<int> resumptions{0};
    int outcome = 0;
    std::jthread winner;
    const auto start = [&] {
      winner = std::jthread([&once, &outcome, i] {
        if (!once.Claim()) return;
        outcome = i;
        once.Resume();
      });
    };
    Detach(CountResumption(once, start, resumptions));
    winner.join();
    ASSERT_EQ(resumptions, 1);
    ASSERT_EQ(outcome, i);
  }
}

}  // namespace
}  // namespace predictd
