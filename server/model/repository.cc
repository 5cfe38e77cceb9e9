#include "server/model/repository.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/files/regular_file.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

// The same error, with the name of what it is about in front.
absl::Status About(const fs::path& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path.filename().string(), ": ", status.message()));
}

// What a folder contains; an error of the file system is never taken for the end of the list.
absl::StatusOr<std::vector<fs::path>> List(const fs::path& folder) {
  if (absl::Status status = CheckFolder(folder); !status.ok()) return status;
  std::vector<fs::path> children;
  std::error_code error;
  for (fs::directory_iterator child(folder, error), end; !error && child != end; child.increment(error)) {
    children.push_back(child->path());
  }
  if (error) return absl::UnavailableError(absl::StrCat("cannot be read: ", error.message()));
  return children;
}

// Whether a model file is there. What is there but cannot be read is an error.
absl::StatusOr<bool> HasFile(const fs::path& file) {
  const absl::Status status = CheckRegularFile(file);
  if (absl::IsNotFound(status)) return false;
  if (!status.ok()) return About(file, status);
  return true;
}

// Files and folders without a model.toml are no models. What nobody can look into may be one and is, so that its error
// is told, except for what is no model's on any file system.
bool MayBeModel(const fs::path& child) {
  const absl::Status status = CheckFolder(child);
  std::error_code ignored;
  if (status.ok()) return fs::symlink_status(child / "model.toml", ignored).type() != fs::file_type::not_found;
  const std::string name = child.filename().string();
  if (name == "lost+found" || name.front() == '.') return false;
  const bool link_to_nothing = fs::is_symlink(child, ignored) && !fs::exists(child, ignored);
  return !absl::IsNotFound(status) || link_to_nothing;
}

absl::StatusOr<VersionEntry> ReadVersion(const fs::path& folder, int64_t version) {
  const fs::path script = folder / "model.pt";
  const fs::path package = folder / "model.pt2";
  const absl::StatusOr<bool> has_script = HasFile(script);
  const absl::StatusOr<bool> has_package = HasFile(package);
  for (const absl::StatusOr<bool>& has : {has_script, has_package}) {
    if (!has.ok())
      return absl::Status(has.status().code(), absl::StrCat("version ", version, ": ", has.status().message()));
  }
  if (*has_script == *has_package) {
    return absl::InvalidArgumentError(absl::StrCat(
        "version ", version, ": expected either model.pt or model.pt2, found ", *has_script ? "both" : "neither"));
  }
  if (*has_script) return VersionEntry{version, Backend::kTorchScript, script};
  return VersionEntry{version, Backend::kAotInductor, package};
}

absl::Status ReadModel(const fs::path& folder, ModelEntry& entry) {
  absl::StatusOr<ModelConfig> config = ModelConfig::Load(folder / "model.toml");
  if (!config.ok()) return config.status();
  const absl::StatusOr<std::vector<fs::path>> children = List(folder);
  if (!children.ok()) return About(folder, children.status());
  std::vector<int64_t> existing;
  for (const fs::path& child : *children) {
    int64_t version = 0;
    const std::string name = child.filename().string();
    // "01" is not the folder of version 1.
    if (!absl::SimpleAtoi(name, &version) || version <= 0 || absl::StrCat(version) != name) continue;
    // A link to nothing counts, so that no older version takes its place silently.
    std::error_code ignored;
    if (fs::is_directory(child, ignored) || fs::is_symlink(child, ignored)) existing.push_back(version);
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
  const absl::StatusOr<std::vector<fs::path>> children = List(root);
  if (!children.ok()) {
    return absl::NotFoundError(
        absl::StrCat("the model repository '", root.string(), "' ", children.status().message()));
  }
  std::vector<ModelEntry> models;
  for (const fs::path& child : *children) {
    ModelEntry entry;
    entry.name = child.filename().string();
    if (!MayBeModel(child)) continue;
    entry.status = CheckFolder(child);
    entry.status = entry.status.ok() ? ReadModel(child, entry) : About(child, entry.status);
    models.push_back(std::move(entry));
  }
  std::sort(models.begin(), models.end(), [](const ModelEntry& a, const ModelEntry& b) { return a.name < b.name; });
  return models;
}

}  // namespace predictd
