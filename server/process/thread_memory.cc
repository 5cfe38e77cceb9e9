#include "server/process/thread_memory.h"

#include <cstddef>

// This is jemalloc's; it is null in a program that is linked without jemalloc.
extern "C" [[gnu::weak]] int mallctl(const char* name, void* old, size_t* old_length, void* value, size_t length);

namespace predictd {

void ResetThreadPeak() {
  if (mallctl != nullptr) mallctl("thread.peak.reset", nullptr, nullptr, nullptr, 0);
}

int64_t ThreadPeak() {
  uint64_t peak = 0;
  size_t length = sizeof(peak);
  if (mallctl == nullptr || mallctl("thread.peak.read", &peak, &length, nullptr, 0) != 0) return 0;
  return static_cast<int64_t>(peak);
}

}  // namespace predictd
