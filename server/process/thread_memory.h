#ifndef PREDICTD_SERVER_PROCESS_THREAD_MEMORY_H_
#define PREDICTD_SERVER_PROCESS_THREAD_MEMORY_H_

#include <cstdint>

namespace predictd {

// These tell what this thread allocates, as the allocator counts it; what other threads do at the same time does not
// count. Without jemalloc nothing is counted, and the peak is 0.

// Starts to count the peak anew.
void ResetThreadPeak();
// The most bytes that the thread has held since then, beyond what it held at the time.
int64_t ThreadPeak();

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_THREAD_MEMORY_H_
