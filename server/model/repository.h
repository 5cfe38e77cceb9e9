#ifndef PREDICTD_SERVER_MODEL_REPOSITORY_H_
#define PREDICTD_SERVER_MODEL_REPOSITORY_H_

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/model_config.h"

namespace predictd {

// What runs a version: decided by the file in its folder.
enum class Backend { kTorchScript, kAotInductor };

// "torchscript", "aotinductor".
absl::string_view BackendName(Backend backend);

// A version folder and the file in it that is the model.
struct VersionEntry {
  int64_t version = 0;
  Backend backend = Backend::kTorchScript;
  std::filesystem::path file;
};

// A folder of the repository.
struct ModelEntry {
  std::string name;
  // What is wrong with the folder; then there is no config and no version.
  absl::Status status;
  ModelConfig config;
  // Those to serve, newest first.
  std::vector<VersionEntry> versions;
};

// Reads a model repository:
//   ROOT/MODEL/model.toml
//   ROOT/MODEL/VERSION/model.pt (TorchScript) or model.pt2 (AOTInductor), VERSION a positive number
// Folders without a model.toml are no models. A model that is wrong or cannot be read is returned with its error, so
// that the others can be served. NOT_FOUND if ROOT is no readable folder. Reads files; not for event loops.
absl::StatusOr<std::vector<ModelEntry>> ScanRepository(const std::filesystem::path& root);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_REPOSITORY_H_
