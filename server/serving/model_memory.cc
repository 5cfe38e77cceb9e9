#include "server/serving/model_memory.h"

#include <algorithm>

#include "server/config/memory_limit.h"
#include "server/process/thread_memory.h"

namespace predictd {

int64_t ModelMemory::Left() {
  // Models take turns: the memory for the runs of other models is available to these.
  return std::min(FreeMemory(), plan_.left() + plan_.working());
}

void ModelMemory::Begin() {
  ResetThreadPeak();
}

int64_t ModelMemory::Peak() {
  return ThreadPeak();
}

}  // namespace predictd
