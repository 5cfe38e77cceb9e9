#ifndef PREDICTD_SERVER_CONFIG_MEMORY_LIMIT_H_
#define PREDICTD_SERVER_CONFIG_MEMORY_LIMIT_H_

#include <cstdint>
#include <filesystem>

namespace predictd {

// How many bytes of memory this process can have: the least of what the machine has, what its control groups allow, and
// what is left of its address space (RLIMIT_AS). Reads files, so ask once, at the start.
int64_t AvailableMemory();

// The part of AvailableMemory that is read from files: machine and control groups (versions 1 and 2). `root` stands for
// "/"; files that are missing or malformed count as no limit.
int64_t MachineMemory(const std::filesystem::path& root);

// How many more bytes the process can have now, beside what all others on the machine and in its control groups hold.
// The caches that the system would give up count as free. Reads files.
int64_t FreeMemory();

// The part of FreeMemory that is read from files.
int64_t FreeMachineMemory(const std::filesystem::path& root);

// How many bytes the process holds itself, without those that it shares with files.
int64_t OwnMemory();

// How many bytes the process can have in all beside what others on the machine and in its control groups hold now: what
// it has, and what is free. Reads files.
int64_t ReachableMachineMemory();

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_MEMORY_LIMIT_H_
