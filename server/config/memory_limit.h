#ifndef PREDICTD_SERVER_CONFIG_MEMORY_LIMIT_H_
#define PREDICTD_SERVER_CONFIG_MEMORY_LIMIT_H_

#include <cstdint>
#include <filesystem>

namespace predictd {

// How many bytes of memory this process can have: the least of what the machine has, what its control groups allow it,
// and what is left of its address space (RLIMIT_AS). Reads files: ask once, at the start.
int64_t AvailableMemory();

// The part of AvailableMemory that files say: machine and control groups (versions 1 and 2). `root` stands for "/", and
// files that are missing or malformed are no limit.
int64_t MachineMemory(const std::filesystem::path& root);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_MEMORY_LIMIT_H_
