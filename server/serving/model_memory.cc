#include "server/serving/model_memory.h"

#include <algorithm>

#include "server/config/memory_limit.h"
#include "server/process/thread_memory.h"

namespace predictd {

int64_t ModelMemory::Left() {
  // While models are loaded, the caches have taken little of their share, so it still counts as free memory.
  const int64_t now = std::max<int64_t>(0, FreeMemory() - plan_.caches());
  // Models take turns: the memory for the runs of other models is available to these.
  return std::min(now, plan_.left() + plan_.working());
}

void ModelMemory::Begin() {
  ResetThreadPeak();
}

int64_t ModelMemory::Peak() {
  return ThreadPeak();
}

}  // namespace predictd
