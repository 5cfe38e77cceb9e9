#include "server/config/cpu_limit.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "server/config/control_group.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

// A group gets its quota once in each period of so many microseconds.
constexpr int64_t kDefaultPeriod = 100'000;

std::optional<double> Cores(const std::string& quota, const std::string& period) {
  int64_t part = 0;
  int64_t whole = kDefaultPeriod;
  // "max" and -1 stand for no limit.
  if (!absl::SimpleAtoi(quota, &part) || part <= 0) return std::nullopt;
  if (!period.empty() && (!absl::SimpleAtoi(period, &whole) || whole <= 0)) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

std::string ReadWord(const fs::path& file) {
  std::ifstream stream(file);
  std::string word;
  stream >> word;
  return word;
}

void Lower(std::optional<double> cores, std::optional<double>& least) {
  if (cores.has_value()) least = std::min(least.value_or(*cores), *cores);
}

// The number of cores in the affinity mask, however many processors the kernel counts.
int AllowedCores() {
  constexpr int kMostProcessors = 1 << 20;
  for (int processors = CPU_SETSIZE; processors <= kMostProcessors; processors *= 2) {
    std::vector<cpu_set_t> set(CPU_ALLOC_SIZE(processors) / sizeof(cpu_set_t));
    const size_t bytes = set.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, set.data()) == 0) return std::max(1, CPU_COUNT_S(bytes, set.data()));
    // EINVAL means that the kernel's own set is larger.
    if (errno != EINVAL) break;
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

std::optional<double> CpuQuota(const fs::path& root) {
  std::optional<double> least;
  const ControlGroupFolders groups = FindControlGroups(root, "cpu");
  for (const fs::path& folder : groups.version2) {
    // The file holds, for instance, "150000 100000".
    std::ifstream stream(folder / "cpu.max");
    std::string quota;
    std::string period;
    stream >> quota >> period;
    Lower(Cores(quota, period), least);
  }
  for (const fs::path& folder : groups.version1) {
    Lower(Cores(ReadWord(folder / "cpu.cfs_quota_us"), ReadWord(folder / "cpu.cfs_period_us")), least);
  }
  return least;
}

CpuLimit MakeCpuLimit(int allowed, std::optional<double> quota) {
  CpuLimit limit{.cores = allowed, .allowed = allowed, .quota = quota};
  // A quota of 3 cores that was computed as a sum may be a little more than 3.
  constexpr double kAsGoodAsWhole = 0.001;
  if (quota.has_value() && *quota < allowed) {
    limit.cores = std::max(1, static_cast<int>(std::ceil(*quota - kAsGoodAsWhole)));
  }
  return limit;
}

CpuLimit FindCpuLimit() {
  return MakeCpuLimit(AllowedCores(), CpuQuota("/"));
}

}  // namespace predictd
