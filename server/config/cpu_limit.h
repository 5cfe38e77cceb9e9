#ifndef PREDICTD_SERVER_CONFIG_CPU_LIMIT_H_
#define PREDICTD_SERVER_CONFIG_CPU_LIMIT_H_

#include <filesystem>
#include <optional>

namespace predictd {

// How many cores this process may use, and why. The machine has more cores than that if the process is bound to some of
// them (by taskset, or the set of a container) or gets only a part of their time.
struct CpuLimit {
  // The number of cores to size thread counts by; at least 1.
  int cores = 1;
  // The number of cores that the process may run on.
  int allowed = 1;
  // How much of the cores' time its control groups (versions 1 and 2) allow, in cores; nullopt if all of it. In `cores`
  // a fraction counts as a whole core: one thread with part of a core is throttled, but two threads with half a core
  // each would wait for each other.
  std::optional<double> quota;
};

// Reads files, so ask once, at the start.
CpuLimit FindCpuLimit();

// The least quota that files say; `root` stands for "/". Files that are missing or malformed count as no limit.
std::optional<double> CpuQuota(const std::filesystem::path& root);

// The limit that follows from both.
CpuLimit MakeCpuLimit(int allowed, std::optional<double> quota);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_CPU_LIMIT_H_
