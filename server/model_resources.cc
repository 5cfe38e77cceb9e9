#include "server/model_resources.h"

#include <algorithm>
#include <cstdlib>

#include "server/config/memory_limit.h"
#include "server/files/private_folder.h"
#include "server/telemetry/log.h"

namespace predictd {

ModelThreads CountModelThreads(const ServerConfig& config, const CpuLimit& cpus) {
  return {.workers = config.workers > 0 ? config.workers : std::max(1, cpus.cores / config.intra_op_threads),
          .loops = config.loops > 0 ? config.loops : std::max(1, cpus.cores / 2)};
}

MemoryPlan PlanMemory(const ServerConfig& config) {
  const int64_t limit = AvailableMemory();
  const int64_t calls = config.request_memory > 0 ? std::min(config.request_memory, limit / 4) : limit / 16;
  return {limit, OwnMemory() + calls, ReachableMachineMemory};
}

std::string UnpackDir(const ServerConfig& config) {
  const char* const temporary = std::getenv("TMPDIR");
  std::string folder = config.unpack_dir;
  if (folder.empty()) folder = temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
  const int removed = RemoveLeftFolders(folder);
  if (removed > 0) {
    Log(LogLevel::kInfo, "removed what servers that were killed had unpacked",
        {{"path", folder}, {"folders", removed}});
  }
  return folder;
}

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ServedVersion& version, const ModelThreads& threads,
                                                 const std::string& unpack_dir) {
  const VersionEntry& entry = version.entry();
  // Should there be too little memory for the model all the same, this is the last line of the log.
  Log(LogLevel::kInfo, "loading a model",
      {{"file", entry.file.string()}, {"size", BytesName(WeightBytes(entry.file))}});
  return entry.backend->load(entry.file, version.config(),
                             {.runners = threads.workers + threads.loops, .unpack_dir = unpack_dir});
}

}  // namespace predictd
