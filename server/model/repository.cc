#include "server/model/repository.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<VersionEntry> ReadVersion(const fs::path& folder, int64_t version) {
  const fs::path script = folder / "model.pt";
  const fs::path package = folder / "model.pt2";
  std::error_code error;
  const bool has_script = fs::is_regular_file(script, error);
  const bool has_package = fs::is_regular_file(package, error);
  if (has_script == has_package) {
    return absl::InvalidArgumentError(absl::StrCat(
        "version ", version, ": expected either model.pt or model.pt2, found ", has_script ? "both" : "neither"));
  }
  if (has_script) return VersionEntry{version, Backend::kTorchScript, script};
  return VersionEntry{version, Backend::kAotInductor, package};
}

absl::Status ReadModel(const fs::path& folder, ModelEntry& entry) {
  absl::StatusOr<ModelConfig> config = ModelConfig::Load(folder / "model.toml");
  if (!config.ok()) return config.status();
  std::vector<int64_t> existing;
  std::error_code error;
  for (const fs::directory_entry& child : fs::directory_iterator(folder, error)) {
    int64_t version = 0;
    const std::string name = child.path().filename().string();
    // "01" is not the folder of version 1.
    if (absl::SimpleAtoi(name, &version) && version > 0 && absl::StrCat(version) == name && child.is_directory(error)) {
      existing.push_back(version);
    }
  }
  absl::StatusOr<std::vector<int64_t>> chosen = config->version_policy.Choose(existing);
  if (!chosen.ok()) return chosen.status();
  std::vector<VersionEntry> versions;
  for (int64_t version : *chosen) {
    absl::StatusOr<VersionEntry> read = ReadVersion(folder / absl::StrCat(version), version);
    if (!read.ok()) return read.status();
    versions.push_back(*std::move(read));
  }
  entry.config = *std::move(config);
  entry.versions = std::move(versions);
  return absl::OkStatus();
}

}  // namespace

absl::string_view BackendName(Backend backend) {
  return backend == Backend::kTorchScript ? "torchscript" : "aotinductor";
}

absl::StatusOr<std::vector<ModelEntry>> ScanRepository(const fs::path& root) {
  std::error_code error;
  fs::directory_iterator children(root, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("cannot read the model repository '", root.string(), "': ", error.message()));
  }
  std::vector<ModelEntry> models;
  for (const fs::directory_entry& child : children) {
    if (!child.is_directory(error) || !fs::exists(child.path() / "model.toml", error)) continue;
    ModelEntry entry;
    entry.name = child.path().filename().string();
    entry.status = ReadModel(child.path(), entry);
    models.push_back(std::move(entry));
  }
  std::sort(models.begin(), models.end(), [](const ModelEntry& a, const ModelEntry& b) { return a.name < b.name; });
  return models;
}

}  // namespace predictd
