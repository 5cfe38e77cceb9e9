#ifndef PREDICTD_SERVER_MODEL_REPOSITORY_H_
#define PREDICTD_SERVER_MODEL_REPOSITORY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/backend.h"
#include "server/model/model_config.h"

namespace predictd {

// A version folder and the model file in it.
struct VersionEntry {
  int64_t version = 0;
  // The backend that runs it, which the name of its file determines.
  const Backend* backend = nullptr;
  std::filesystem::path file = {};
  // Changes with the files of the version and with ModelConfig::fingerprint.
  uint64_t stamp = 0;
  // What is wrong with the folder. If it is an error, there is neither a backend nor a file.
  absl::Status status = {};
};

// A model's folder in the repository.
struct ModelEntry {
  std::string name;
  // What is wrong with the folder. If it is an error, there is no config and no version.
  absl::Status status;
  // What StampModel returned before the folder was read.
  uint64_t stamp = 0;
  ModelConfig config;
  // The versions to serve, newest first.
  std::vector<VersionEntry> versions;
  // Names of subfolders that are no versions but look as if they were meant to be, such as 01 and v2.
  std::vector<std::string> odd_versions;
};

// The contents of a repository.
struct ModelRepository {
  // Sorted by name.
  std::vector<ModelEntry> models = {};
  // Sorted names of the folders without a model.toml.
  std::vector<std::string> without_config = {};
  // Whether there is a model.toml beside them, in which case the folder is probably a single model's.
  bool has_config = false;
};

// The names of the folders and links in a repository that ScanRepository reads as models, sorted. Reads no more of them
// than that. NOT_FOUND or UNAVAILABLE if the root cannot be read.
absl::StatusOr<std::vector<std::string>> ListModels(const std::filesystem::path& root);

// A number that changes with model.toml, the versions' folders (StampFolder) and the folder of the warm-up's files, but
// not with what else is in the model's folder.
uint64_t StampModel(const std::filesystem::path& folder);

// Reads one model's folder, which may be anywhere. The backends must outlive the result. Reads files, so it is not for
// event loops.
ModelEntry ReadModelFolder(const std::filesystem::path& folder, absl::Span<const Backend> backends);

// Reads a model repository:
//   ROOT/MODEL/model.toml
//   ROOT/MODEL/VERSION/FILE, VERSION a positive number, FILE the file of one of the backends
//   ROOT/MODEL/warmup/FILE.npy, where model.toml names FILE.npy
// Folders without a model.toml are no models. A model or a version that is wrong or cannot be read is returned with its
// error, so that the others can be served. NOT_FOUND if ROOT is no readable folder. The backends must outlive the
// result. Reads files, so it is not for event loops.
absl::StatusOr<ModelRepository> ScanRepository(const std::filesystem::path& root, absl::Span<const Backend> backends);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_REPOSITORY_H_
