#include "server/config/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// "max", which stands for no limit, is no number.
int64_t ReadLimit(const fs::path& file) {
  std::ifstream stream(file);
  std::string word;
  int64_t limit = 0;
  return stream >> word && absl::SimpleAtoi(word, &limit) && limit > 0 ? limit : kNoLimit;
}

// The least limit of a group and of those that it lies in. Inside a container the path is often that of the host, where
// its own group is mounted as the root: so the root counts, too.
int64_t GroupLimit(const fs::path& mount, const std::string& group, const std::vector<const char*>& files) {
  int64_t limit = kNoLimit;
  fs::path folder = fs::path(group).relative_path();
  while (true) {
    for (const char* file : files) limit = std::min(limit, ReadLimit(mount / folder / file));
    if (folder.empty()) return limit;
    folder = folder.parent_path();
  }
}

int64_t ControlGroupLimit(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  int64_t limit = kNoLimit;
  std::ifstream groups(root / "proc/self/cgroup");
  // Lines are like "4:memory:/a/b", and "0::/a/b" in version 2.
  for (std::string line; std::getline(groups, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() < 3) continue;
    if (parts[0] == "0" && parts[1].empty()) {
      // Above memory.high a group is slowed down until it hardly runs.
      const std::vector<const char*> files{"memory.max", "memory.high"};
      limit = std::min({limit, GroupLimit(mount, parts[2], files), GroupLimit(mount / "unified", parts[2], files)});
    } else {
      const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
      if (std::find(controllers.begin(), controllers.end(), "memory") == controllers.end()) continue;
      limit = std::min(limit, GroupLimit(mount / "memory", parts[2], {"memory.limit_in_bytes"}));
    }
  }
  return limit;
}

// Line "MemTotal:       24619396 kB".
int64_t PhysicalMemory(const fs::path& root) {
  std::ifstream stream(root / "proc/meminfo");
  std::string name;
  int64_t kibibytes = 0;
  const bool found = stream >> name >> kibibytes && name == "MemTotal:" && kibibytes > 0 && kibibytes < kNoLimit / 1024;
  return found ? kibibytes * 1024 : kNoLimit;
}

// What is mapped already, libraries for the most part, can't be had again.
int64_t AddressSpaceLeft() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  std::ifstream stream("/proc/self/statm");
  int64_t pages = 0;
  stream >> pages;
  const int64_t allowed = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, kNoLimit));
  return std::max<int64_t>(1, allowed - pages * sysconf(_SC_PAGESIZE));
}

}  // namespace

int64_t MachineMemory(const fs::path& root) {
  return std::min(PhysicalMemory(root), ControlGroupLimit(root));
}

int64_t AvailableMemory() {
  return std::min(MachineMemory("/"), AddressSpaceLeft());
}

}  // namespace predictd
