#ifndef PREDICTD_SERVER_MODEL_MODEL_CONFIG_H_
#define PREDICTD_SERVER_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/model/generator_config.h"
#include "server/model/signature.h"
#include "server/model/traffic_split.h"

namespace predictd {

// Which of the version folders are served.
struct VersionPolicy {
  enum class Kind { kLatest, kAll, kListed };
  Kind kind = Kind::kLatest;
  std::vector<int64_t> listed;

  // The versions to serve out of `existing`, newest first. NOT_FOUND if a listed version is missing or none exists.
  absl::StatusOr<std::vector<int64_t>> Choose(std::vector<int64_t> existing) const;
};

// The folder, in a model's, of the files that its warm-up runs on.
inline constexpr const char* kWarmUpFolder = "warmup";

// One model's `model.toml`.
struct ModelConfig {
  std::string description;
  // Empty for a generator.
  Signature signature;
  // Set only for a generator.
  std::optional<GeneratorConfig> generator;
  VersionPolicy version_policy;
  // Names for versions, which are served whatever the policy says.
  VersionLabels labels;
  // Which versions get the requests that name none; not set: the newest. They are served whatever the policy says.
  std::optional<TrafficSplit> traffic = {};
  // For each version, the most requests that may wait and the most bytes of their inputs.
  int64_t queue_capacity = 1024;
  int64_t queue_bytes = int64_t{256} << 20;
  // How long a batch that is not full waits for more rows, unless it has one of the preferred sizes.
  absl::Duration max_queue_delay = absl::ZeroDuration();
  std::vector<int64_t> preferred_batch_sizes;
  // The share of the workers' time, relative to other models' while those want it too.
  double weight = 1;
  // The most batches of a version that run at once; 0: as many as there are workers.
  int64_t max_concurrency = 0;
  // After how long without requests the model is unloaded until the next one; not set: what the server's options say;
  // zero: never.
  std::optional<absl::Duration> idle_unload = {};
  // The size of each version's response cache in bytes; 0: no cache.
  int64_t response_cache_bytes = 0;
  // Whether to run the model on made-up inputs on every worker before it serves.
  bool warmup = true;
  // The method of a TorchScript module that is called.
  std::string method = "forward";
  // Whether it runs in LibTorch's inference mode, in which a method cannot differentiate. If not set, the method's code
  // decides.
  std::optional<bool> inference_mode = {};
  // Whether to serve a compiled package whose checks may fail on threads of its own, which ends the process.
  bool allow_parallel_regions = false;
  // Changes with all that a version is loaded by, which is everything but the policy, labels, traffic and
  // idle_unload. The content of other files does not count.
  uint64_t fingerprint = 0;

  // Whether the warm-up runs on files of kWarmUpFolder.
  bool HasWarmUpFiles() const;

  // The versions to serve out of `existing`, newest first: those of the policy, and those with a label or traffic.
  // NOT_FOUND if none exists, or not one that is listed, has a label or traffic.
  absl::StatusOr<std::vector<int64_t>> Choose(const std::vector<int64_t>& existing) const;

  // INVALID_ARGUMENT names the key that is unknown, missing or has a bad value, which includes a file that it names.
  // Such files are in the model's `folder`.
  static absl::StatusOr<ModelConfig> Parse(absl::string_view text, const std::filesystem::path& folder = {});
  static absl::StatusOr<ModelConfig> Load(const std::filesystem::path& file);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MODEL_CONFIG_H_
