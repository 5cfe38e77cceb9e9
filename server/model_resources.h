#ifndef PREDICTD_SERVER_MODEL_RESOURCES_H_
#define PREDICTD_SERVER_MODEL_RESOURCES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/config/cpu_limit.h"
#include "server/config/server_config.h"
#include "server/model/memory_plan.h"
#include "server/model/model.h"
#include "server/serving/served_version.h"

namespace predictd {

// What models are loaded with and run on, as the options say: the same for a server and for a check without one.

// How many threads run models.
struct ModelThreads {
  int workers = 1;
  // The event loops run cheap models, too.
  int loops = 1;
};
ModelThreads CountModelThreads(const ServerConfig& config, const CpuLimit& cpus);

// Plans what models may take: the memory that is neither taken already nor reserved for calls. On a small machine calls
// may take more than their sixteenth, because a few large requests must fit, but they hardly ever do.
MemoryPlan PlanMemory(const ServerConfig& config);

// Returns the folder in which packages are unpacked, after removing what killed servers left there.
std::string UnpackDir(const ServerConfig& config);

// Reads a tensor model.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ServedVersion& version, const ModelThreads& threads,
                                                 const std::string& unpack_dir);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_RESOURCES_H_
