#include "server/config/memory_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <limits>
#include <map>
#include <string>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

struct Machine {
  const char* name;
  // Relative to the root.
  std::map<std::string, std::string> files;
  int64_t memory;
};

std::ostream& operator<<(std::ostream& out, const Machine& machine) {
  return out << machine.name;
}

class MachineMemoryTest : public testing::TestWithParam<Machine> {};

TEST_P(MachineMemoryTest, IsTheLeastOfTheLimitsThatThereAre) {
  const TempFolder root;
  for (const auto& [file, content] : GetParam().files) root.Write(file, content);
  EXPECT_EQ(MachineMemory(root.path()), GetParam().memory);
}

const std::string kEightGiB = "MemTotal:        8388608 kB\nMemFree:          100000 kB\n";

INSTANTIATE_TEST_SUITE_P(
    Table, MachineMemoryTest,
    testing::Values(
        Machine{"nothing is known", {}, kNoLimit}, Machine{"no groups", {{"proc/meminfo", kEightGiB}}, 8192 * kMiB},
        Machine{"version 2",
                {{"proc/meminfo", kEightGiB},
                 {"proc/self/cgroup", "0::/a/b\n"},
                 {"sys/fs/cgroup/a/b/memory.max", "536870912\n"}},
                512 * kMiB},
        Machine{"version 2, the limit is an ancestor's",
                {{"proc/meminfo", kEightGiB},
                 {"proc/self/cgroup", "0::/a/b\n"},
                 {"sys/fs/cgroup/a/memory.max", "268435456\n"},
                 {"sys/fs/cgroup/a/b/memory.max", "max\n"}},
                256 * kMiB},
        Machine{
            "version 2, in a container whose group is the root",
            {{"proc/meminfo", kEightGiB}, {"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "134217728\n"}},
            128 * kMiB},
        Machine{"version 2, slowed down before its limit",
                {{"proc/meminfo", kEightGiB},
                 {"proc/self/cgroup", "0::/a\n"},
                 {"sys/fs/cgroup/a/memory.max", "268435456\n"},
                 {"sys/fs/cgroup/a/memory.high", "134217728\n"}},
                128 * kMiB},
        Machine{"version 2 without limits",
                {{"proc/meminfo", kEightGiB}, {"proc/self/cgroup", "0::/a\n"}, {"sys/fs/cgroup/a/memory.max", "max\n"}},
                8192 * kMiB},
        Machine{"version 1",
                {{"proc/meminfo", kEightGiB},
                 {"proc/self/cgroup", "9:cpu,cpuacct:/c\n4:memory:/a/b\n0::/\n"},
                 {"sys/fs/cgroup/memory/c/memory.limit_in_bytes", "1048576\n"},
                 {"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "67108864\n"}},
                64 * kMiB},
        Machine{"version 1, in a container that sees the host's path",
                {{"proc/meminfo", kEightGiB},
                 {"proc/self/cgroup", "4:memory:/docker/0123\n"},
                 {"sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n"}},
                64 * kMiB},
        Machine{"version 1 without a limit",
                {{"proc/meminfo", kEightGiB},
                 {"proc/self/cgroup", "4:memory:/\n"},
                 {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
                8192 * kMiB},
        Machine{"garbage",
                {{"proc/meminfo", "MemTotal: lots kB\n"},
                 {"proc/self/cgroup", "memory\n\n::\n"},
                 {"sys/fs/cgroup/memory.max", "-1\n"}},
                kNoLimit}));

class FreeMachineMemoryTest : public testing::TestWithParam<Machine> {};

TEST_P(FreeMachineMemoryTest, IsTheLeastOfWhatIsLeft) {
  const TempFolder root;
  for (const auto& [file, content] : GetParam().files) root.Write(file, content);
  EXPECT_EQ(FreeMachineMemory(root.path()), GetParam().memory);
}

const std::string kFourGiBFree = kEightGiB + "MemAvailable:    4194304 kB\nBuffers:          100000 kB\n";

INSTANTIATE_TEST_SUITE_P(
    Table, FreeMachineMemoryTest,
    testing::Values(Machine{"nothing is known", {}, kNoLimit},
                    Machine{"no groups", {{"proc/meminfo", kFourGiBFree}}, 4096 * kMiB},
                    Machine{"version 2, whose cache of files counts as free",
                            {{"proc/meminfo", kFourGiBFree},
                             {"proc/self/cgroup", "0::/a\n"},
                             {"sys/fs/cgroup/a/memory.max", "536870912\n"},
                             {"sys/fs/cgroup/a/memory.current", "268435456\n"},
                             {"sys/fs/cgroup/a/memory.stat",
                              "anon 1\nfile 134217728\ninactive_file 67108864\nactive_file 33554432\n"}},
                            352 * kMiB},
                    Machine{"version 2, others of an ancestor use most of it",
                            {{"proc/meminfo", kFourGiBFree},
                             {"proc/self/cgroup", "0::/a/b\n"},
                             {"sys/fs/cgroup/a/memory.max", "536870912\n"},
                             {"sys/fs/cgroup/a/memory.current", "469762048\n"},
                             {"sys/fs/cgroup/a/b/memory.max", "max\n"},
                             {"sys/fs/cgroup/a/b/memory.current", "1048576\n"}},
                            64 * kMiB},
                    Machine{"version 1",
                            {{"proc/meminfo", kFourGiBFree},
                             {"proc/self/cgroup", "4:memory:/a\n"},
                             {"sys/fs/cgroup/memory/a/memory.limit_in_bytes", "67108864\n"},
                             {"sys/fs/cgroup/memory/a/memory.usage_in_bytes", "50331648\n"},
                             {"sys/fs/cgroup/memory/a/memory.stat",
                              "cache 9\ntotal_inactive_file 8388608\ntotal_active_file 8388608\n"}},
                            32 * kMiB},
                    Machine{"more is used than the limit allows by now",
                            {{"proc/meminfo", kFourGiBFree},
                             {"proc/self/cgroup", "0::/a\n"},
                             {"sys/fs/cgroup/a/memory.max", "1048576\n"},
                             {"sys/fs/cgroup/a/memory.current", "2097152\n"}},
                            0}));

TEST(OwnMemoryTest, GrowsByWhatIsWritten) {
  const int64_t before = OwnMemory();
  const std::string memory(64 << 20, 'x');
  EXPECT_GT(OwnMemory(), before + 60 * kMiB) << memory.size();
}

TEST(ReachableMemoryTest, StaysWhenTheProcessTakesMemory) {
  const int64_t before = ReachableMachineMemory();
  const std::string memory(256 << 20, 'x');
  // Others on the machine take and give, too, but hardly as much.
  EXPECT_GT(ReachableMachineMemory(), before - 200 * kMiB) << memory.size();
  EXPECT_LE(ReachableMachineMemory(), MachineMemory("/") + OwnMemory());
}

TEST(FreeMemoryTest, IsSomeAndNoMoreThanTheMachineHas) {
  EXPECT_GT(FreeMemory(), kMiB);
  EXPECT_LE(FreeMemory(), MachineMemory("/"));
}

TEST(AvailableMemoryTest, IsSomeAndNoMoreThanTheMachineHas) {
  EXPECT_GT(AvailableMemory(), kMiB);
  EXPECT_LE(AvailableMemory(), MachineMemory("/"));
}

TEST(AvailableMemoryTest, IsLessThanTheAddressSpaceThatTheProcessMayHave) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit limit{.rlim_cur = rlim_t{1} << 31, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  const int64_t available = AvailableMemory();
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_GT(available, 0);
  EXPECT_LT(available, 2048 * kMiB);
}

}  // namespace
}  // namespace predictd
