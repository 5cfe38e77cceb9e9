#include "server/config/cpu_limit.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <map>
#include <optional>
#include <string>
#include <thread>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

struct Machine {
  const char* name;
  // Relative to the root.
  std::map<std::string, std::string> files;
  std::optional<double> quota;
};

std::ostream& operator<<(std::ostream& out, const Machine& machine) {
  return out << machine.name;
}

class CpuQuotaTest : public testing::TestWithParam<Machine> {};

TEST_P(CpuQuotaTest, IsTheLeastOfTheQuotasThatThereAre) {
  const TempFolder root;
  for (const auto& [file, content] : GetParam().files) root.Write(file, content);
  EXPECT_EQ(CpuQuota(root.path()), GetParam().quota);
}

INSTANTIATE_TEST_SUITE_P(
    Table, CpuQuotaTest,
    testing::Values(
        Machine{"nothing is known", {}, std::nullopt},
        Machine{
            "version 2", {{"proc/self/cgroup", "0::/a/b\n"}, {"sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"}}, 1.5},
        Machine{"version 2 without a limit",
                {{"proc/self/cgroup", "0::/a\n"}, {"sys/fs/cgroup/a/cpu.max", "max 100000\n"}},
                std::nullopt},
        Machine{"version 2, a quota of the default period",
                {{"proc/self/cgroup", "0::/a\n"}, {"sys/fs/cgroup/a/cpu.max", "50000\n"}},
                0.5},
        Machine{"version 2, the quota is an ancestor's",
                {{"proc/self/cgroup", "0::/a/b\n"},
                 {"sys/fs/cgroup/a/cpu.max", "100000 50000\n"},
                 {"sys/fs/cgroup/a/b/cpu.max", "800000 100000\n"}},
                2},
        Machine{"version 2, in a container whose group is the root",
                {{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "300000 100000\n"}},
                3},
        Machine{"version 2, in a container that is shown a path from outside",
                {{"proc/self/cgroup", "0::/../../a\n"}, {"sys/fs/cgroup/cpu.max", "300000 100000\n"}},
                3},
        Machine{"version 2 beside version 1",
                {{"proc/self/cgroup", "1:cpu:/\n0::/a\n"}, {"sys/fs/cgroup/unified/a/cpu.max", "400000 100000\n"}},
                4},
        Machine{"version 1",
                {{"proc/self/cgroup", "9:cpu,cpuacct:/c\n4:memory:/m\n0::/\n"},
                 {"sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "25000\n"},
                 {"sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "50000\n"},
                 {"sys/fs/cgroup/cpu/m/cpu.cfs_quota_us", "1\n"}},
                0.5},
        Machine{"version 1 without a link of the controller's name, in a container that sees the host's path",
                {{"proc/self/cgroup", "9:cpu,cpuacct:/docker/0123\n"},
                 {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
                 {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}},
                2},
        Machine{"version 1 without a limit",
                {{"proc/self/cgroup", "9:cpu:/\n"},
                 {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                 {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
                std::nullopt},
        Machine{"garbage",
                {{"proc/self/cgroup", "cpu\n\n::\n0::/a\n"},
                 {"sys/fs/cgroup/a/cpu.max", "much of it\n"},
                 {"sys/fs/cgroup/cpu.max", "100000 0\n"}},
                std::nullopt}));

TEST(CpuLimitTest, FractionsCountAsACore) {
  EXPECT_EQ(MakeCpuLimit(8, std::nullopt).cores, 8);
  EXPECT_EQ(MakeCpuLimit(8, 0.1).cores, 1);
  EXPECT_EQ(MakeCpuLimit(8, 1.0).cores, 1);
  EXPECT_EQ(MakeCpuLimit(8, 1.5).cores, 2);
  EXPECT_EQ(MakeCpuLimit(8, 2.0001).cores, 2) << "a rounding error is no core";
  EXPECT_EQ(MakeCpuLimit(2, 3.5).cores, 2) << "there are no more than it may run on";
}

TEST(CpuLimitTest, CountsTheCoresThatTheProcessMayRunOn) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(FindCpuLimit().allowed, CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
  }
  // Of a thread of its own, which takes its binding with it.
  std::thread([&one] {
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(FindCpuLimit().allowed, 1);
    EXPECT_EQ(FindCpuLimit().cores, 1);
  }).join();
}

}  // namespace
}  // namespace predictd
