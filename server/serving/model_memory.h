#ifndef PREDICTD_SERVER_SERVING_MODEL_MEMORY_H_
#define PREDICTD_SERVER_SERVING_MODEL_MEMORY_H_

#include <cstdint>

#include "server/engine/warm_up.h"
#include "server/model/memory_plan.h"

namespace predictd {

// The memory that is left for the runs of models, according to the plan and to what others on the machine and in the
// container hold now. The plan must outlive it.
class ModelMemory final : public MemoryGauge {
 public:
  explicit ModelMemory(const MemoryPlan& plan) : plan_(plan) {}

  int64_t Left() override;
  void Begin() override;
  int64_t Peak() override;

 private:
  const MemoryPlan& plan_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_MODEL_MEMORY_H_
