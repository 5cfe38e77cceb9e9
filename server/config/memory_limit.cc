#include "server/config/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "server/config/control_group.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// "max", which stands for no limit, does not parse as a number.
int64_t ReadLimit(const fs::path& file) {
  std::ifstream stream(file);
  std::string word;
  int64_t limit = 0;
  return stream >> word && absl::SimpleAtoi(word, &limit) && limit > 0 ? limit : kNoLimit;
}

// Reads a file of lines "name number".
int64_t ReadNumber(const fs::path& file, absl::string_view name) {
  std::ifstream stream(file);
  std::string word;
  int64_t number = 0;
  while (stream >> word >> number) {
    if (word == name) return std::max<int64_t>(number, 0);
  }
  return 0;
}

// The names of a group's files, which differ by version.
struct GroupFiles {
  std::vector<const char*> limits;
  const char* used;
  // The keys in memory.stat of the caches of files, which are given up before any memory of the process.
  std::vector<const char*> cached;
};

// memory.high counts as a limit, because above it a group is slowed down until it hardly runs.
const GroupFiles kVersion2 = {{"memory.max", "memory.high"}, "memory.current", {"inactive_file", "active_file"}};
const GroupFiles kVersion1 = {
    {"memory.limit_in_bytes"}, "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}};

int64_t LimitOf(const fs::path& folder, const GroupFiles& files) {
  int64_t limit = kNoLimit;
  for (const char* file : files.limits) limit = std::min(limit, ReadLimit(folder / file));
  return limit;
}

int64_t FreeOf(const fs::path& folder, const GroupFiles& files) {
  const int64_t limit = LimitOf(folder, files);
  if (limit == kNoLimit) return kNoLimit;
  const int64_t used = ReadLimit(folder / files.used);
  if (used == kNoLimit) return limit;
  int64_t cached = 0;
  for (const char* key : files.cached) cached += ReadNumber(folder / "memory.stat", key);
  return std::max<int64_t>(0, limit - std::max<int64_t>(0, used - cached));
}

// The least value of all groups.
template <class Function>
int64_t LeastOfGroups(const fs::path& root, Function of) {
  int64_t least = kNoLimit;
  const ControlGroupFolders groups = FindControlGroups(root, "memory");
  for (const fs::path& folder : groups.version2) least = std::min(least, of(folder, kVersion2));
  for (const fs::path& folder : groups.version1) least = std::min(least, of(folder, kVersion1));
  return least;
}

// The file has lines like "MemTotal:       24619396 kB".
int64_t FromMemInfo(const fs::path& root, absl::string_view wanted) {
  std::ifstream stream(root / "proc/meminfo");
  std::string name;
  std::string unit;
  int64_t kibibytes = 0;
  while (stream >> name >> kibibytes) {
    if (name == wanted && kibibytes > 0 && kibibytes < kNoLimit / 1024) return kibibytes * 1024;
    std::getline(stream, unit);
  }
  return kNoLimit;
}

// The numbers of /proc/self/statm: the pages that are mapped, those of them that are resident, and those of the latter
// that belong to files.
struct Pages {
  int64_t mapped = 0;
  int64_t resident = 0;
  int64_t shared = 0;
};

Pages ReadPages() {
  std::ifstream stream("/proc/self/statm");
  Pages pages;
  stream >> pages.mapped >> pages.resident >> pages.shared;
  return pages;
}

// What is mapped already, libraries for the most part, cannot be had again.
int64_t AddressSpaceLeft() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  const int64_t allowed = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, kNoLimit));
  return std::max<int64_t>(1, allowed - ReadPages().mapped * sysconf(_SC_PAGESIZE));
}

}  // namespace

int64_t MachineMemory(const fs::path& root) {
  return std::min(FromMemInfo(root, "MemTotal:"), LeastOfGroups(root, LimitOf));
}

int64_t AvailableMemory() {
  return std::min(MachineMemory("/"), AddressSpaceLeft());
}

int64_t FreeMachineMemory(const fs::path& root) {
  return std::min(FromMemInfo(root, "MemAvailable:"), LeastOfGroups(root, FreeOf));
}

int64_t FreeMemory() {
  return std::min(FreeMachineMemory("/"), AddressSpaceLeft());
}

int64_t ReachableMachineMemory() {
  const int64_t free = FreeMachineMemory("/");
  return free == kNoLimit ? free : free + OwnMemory();
}

int64_t OwnMemory() {
  const Pages pages = ReadPages();
  return std::max<int64_t>(0, pages.resident - pages.shared) * sysconf(_SC_PAGESIZE);
}

}  // namespace predictd
