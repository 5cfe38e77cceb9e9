#include "server/kernels/team.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "tests/kernels/run_team.h"

namespace predictd {
namespace {

class BarrierTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(AnyTeam, BarrierTest, testing::Values(1, 2, 3, 5, 8));

// Every round, each member writes its own place, and after the barrier reads those of all others: ThreadSanitizer would
// see it if the barrier did not order that.
void WriteAndRead(int members, int rounds, const std::function<void(const Member&, int round)>& before) {
  std::vector<int> places(static_cast<size_t>(members), -1);
  std::vector<int> wrong(static_cast<size_t>(members));
  RunTeam(members, [&](const Member& member) {
    for (int round = 0; round < rounds; ++round) {
      before(member, round);
      places[member.index] = round;
      member.Meet();
      for (const int place : places) wrong[member.index] += place == round ? 0 : 1;
      member.Meet();
    }
  });
  EXPECT_EQ(wrong, std::vector<int>(static_cast<size_t>(members)));
}

TEST_P(BarrierTest, NobodyPassesBeforeAllHaveCome) {
  WriteAndRead(GetParam(), 300, [](const Member&, int) {});
}

// The others have gone to sleep long before such a member comes.
TEST_P(BarrierTest, ASlowMemberIsWaitedFor) {
  WriteAndRead(GetParam(), 24, [](const Member& member, int round) {
    if (round % member.count == member.index) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
}

// Members whose processor is taken by another one must not keep it with waiting. A round takes two switches of each
// thread, which are microseconds; if each spun until its time was over, it would take milliseconds.
TEST(BarrierOnOneProcessorTest, MembersDoNotSpinTheirTimeAway) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  constexpr int kRounds = 500;
  const std::clock_t begin = std::clock();
  WriteAndRead(4, kRounds, [](const Member&, int) {});
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  ASSERT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
  EXPECT_LT(seconds, kRounds * 2e-3);
}

TEST(MemberTest, SharesAreAllAndDoNotOverlap) {
  for (const int members : {1, 2, 3, 7, 64}) {
    for (const int64_t things : {0, 1, 2, 5, 63, 64, 65, 3072}) {
      int64_t next = 0;
      for (int i = 0; i < members; ++i) {
        const Span share = Member{.index = i, .count = members}.Share(things);
        EXPECT_EQ(share.begin, next);
        EXPECT_GE(share.end, share.begin);
        EXPECT_LE(share.end - share.begin, things / members + 1);
        next = share.end;
      }
      EXPECT_EQ(next, things);
    }
  }
}

}  // namespace
}  // namespace predictd
