#ifndef PREDICTD_SERVER_MODEL_MODEL_CONFIG_H_
#define PREDICTD_SERVER_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/signature.h"

namespace predictd {

// Which of the version folders are served.
struct VersionPolicy {
  enum class Kind { kLatest, kAll, kListed };
  Kind kind = Kind::kLatest;
  std::vector<int64_t> listed;

  // The versions to serve out of those that exist, newest first. NOT_FOUND if a listed one or any at all is missing.
  absl::StatusOr<std::vector<int64_t>> Choose(std::vector<int64_t> existing) const;
};

// One model's `model.toml`.
struct ModelConfig {
  std::string description;
  Signature signature;
  VersionPolicy version_policy;
  // Requests that may wait, for each version.
  int64_t queue_capacity = 1024;
  // What a version may keep of its answers to give them again; 0: nothing.
  int64_t response_cache_bytes = 0;
  // Whether to run the model on made-up inputs on every worker before it serves.
  bool warmup = true;

  // INVALID_ARGUMENT names the key that is unknown, missing or has a bad value.
  static absl::StatusOr<ModelConfig> Parse(absl::string_view text);
  static absl::StatusOr<ModelConfig> Load(const std::filesystem::path& file);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MODEL_CONFIG_H_
