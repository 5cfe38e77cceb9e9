#include "server/kernels/team.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <thread>
#include <vector>

#include "tests/kernels/run_team.h"

namespace predictd {
namespace {

class TeamTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(AnyTeam, TeamTest, testing::Values(1, 2, 3, 5, 8));

// Every phase adds one to all places, whoever takes them, after it has seen that the phase before it is done with all:
// ThreadSanitizer would see it if a phase did not order that.
void CountPhases(int members, int phases, const std::function<void(int member, int phase)>& within) {
  constexpr int64_t kPlaces = 37;
  std::vector<int> places(kPlaces);
  std::vector<int> wrong(static_cast<size_t>(members));
  RunTeam(members, int64_t{2} * phases, [&](Member& member) {
    for (int phase = 0; phase < phases; ++phase) {
      member.Divide(kPlaces, [&](const Part& part) {
        within(member.index(), phase);
        const Span span = part.Of(kPlaces);
        for (int64_t i = span.begin; i < span.end; ++i) ++places[i];
      });
      member.Divide(members, [&](const Part&) {
        for (const int place : places) wrong[member.index()] += place == phase + 1 ? 0 : 1;
      });
    }
  });
  EXPECT_EQ(places, std::vector<int>(kPlaces, phases));
  EXPECT_EQ(wrong, std::vector<int>(static_cast<size_t>(members)));
}

TEST_P(TeamTest, EachPartIsDoneOnceAndBeforeTheNextPhase) {
  CountPhases(GetParam(), 300, [](int, int) {});
}

// The others have gone to sleep long before such a member is done.
TEST_P(TeamTest, WhoIsSlowIsWaitedFor) {
  CountPhases(GetParam(), 24, [](int member, int phase) {
    if (phase % 3 == member) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
}

TEST(TeamOfAnySizeTest, WhoDoesNothingIsNotWaitedFor) {
  constexpr int kPhases = 100;
  std::atomic<bool> done = false;
  int late = 0;
  RunTeam(2, kPhases, [&](Member& member) {
    // Comes when the other one has done it all, and finds nothing left to do.
    if (member.index() == 1) done.wait(false);
    for (int phase = 0; phase < kPhases; ++phase) {
      member.Divide(10, [&](const Part&) { late += member.index(); });
    }
    done = true;
    done.notify_all();
  });
  EXPECT_EQ(late, 0);
}

TEST(TeamOfAnySizeTest, NothingToDoIsOnePart) {
  RunTeam(3, 1, [](Member& member) { member.Divide(0, [](const Part& part) { EXPECT_EQ(part.Of(0).end, 0); }); });
}

// Members whose processor is taken by another one must not keep it with waiting. A phase takes a few switches of each
// thread, which are microseconds; if each spun until its time was over, it would take milliseconds.
TEST(TeamOfAnySizeTest, OnOneProcessorMembersDoNotSpinTheirTimeAway) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  constexpr int kPhases = 500;
  const std::clock_t begin = std::clock();
  CountPhases(4, kPhases, [](int, int) {});
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
  EXPECT_LT(seconds, kPhases * 2e-3);
}

TEST(PartTest, PartsAreAllAndDoNotOverlap) {
  for (const int64_t parts : {1, 2, 3, 7, 64}) {
    for (const int64_t things : {0, 1, 2, 5, 63, 64, 65, 3072}) {
      int64_t next = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Span span = Part{.index = i, .count = parts}.Of(things);
        EXPECT_EQ(span.begin, next);
        EXPECT_GE(span.end, span.begin);
        EXPECT_LE(span.end - span.begin, things / parts + 1);
        next = span.end;
      }
      EXPECT_EQ(next, things);
    }
  }
}

}  // namespace
}  // namespace predictd
