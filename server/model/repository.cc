#include "server/model/repository.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/hash/hash.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/files/regular_file.h"
#include "server/model/folder_stamp.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

// The same error, with the path's last name in front.
absl::Status About(const fs::path& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path.filename().string(), ": ", status.message()));
}

// The entries of a folder. A file system error is never mistaken for the end of the list.
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

// Whether the model file exists. An existing but unreadable file is an error.
absl::StatusOr<bool> HasFile(const fs::path& file) {
  const absl::Status status = CheckRegularFile(file);
  if (absl::IsNotFound(status)) return false;
  if (!status.ok()) return About(file, status);
  return true;
}

bool HasConfig(const fs::path& folder) {
  std::error_code ignored;
  return fs::symlink_status(folder / "model.toml", ignored).type() != fs::file_type::not_found;
}

enum class Kind { kModel, kFolder, kOther };

// Files are no models, and neither are folders without a model.toml. A folder that cannot be read may be a model and
// counts as one, so that its error is reported, except for names that are no model's on any file system.
Kind KindOf(const fs::path& child) {
  const std::string name = child.filename().string();
  const bool systems = name == "lost+found" || name.front() == '.';
  const absl::Status status = CheckFolder(child);
  if (status.ok() && HasConfig(child)) return Kind::kModel;
  if (systems) return Kind::kOther;
  if (status.ok()) return Kind::kFolder;
  std::error_code ignored;
  const bool link_to_nothing = fs::is_symlink(child, ignored) && !fs::exists(child, ignored);
  return !absl::IsNotFound(status) || link_to_nothing ? Kind::kModel : Kind::kOther;
}

// The version that a folder of that name holds; "01" is not the folder of version 1.
std::optional<int64_t> VersionOf(const std::string& name) {
  int64_t version = 0;
  if (!absl::SimpleAtoi(name, &version) || version <= 0 || absl::StrCat(version) != name) return std::nullopt;
  return version;
}

// Whether the name may have been meant as a version: 01, 0, -1, v2, or too large a number.
bool LooksLikeVersion(const std::string& name) {
  const size_t prefix = name.find_first_not_of("vV+-") == 1 ? 1 : 0;
  return name.size() > prefix && name.find_first_not_of("0123456789", prefix) == std::string::npos;
}

// What is wrong if a version's folder does not have the file of exactly one backend.
std::string WrongFiles(absl::Span<const Backend> backends, const std::vector<const Backend*>& found) {
  const auto name = [](std::string* out, const Backend& backend) { out->append(backend.file_name); };
  const std::string expected = absl::StrCat("expected either ", absl::StrJoin(backends, " or ", name), ", found ");
  if (found.empty()) return absl::StrCat(expected, backends.size() == 2 ? "neither" : "none");
  if (backends.size() == 2) return absl::StrCat(expected, "both");
  return absl::StrCat(expected, absl::StrJoin(found, " and ", absl::DereferenceFormatter(name)));
}

VersionEntry ReadVersion(const fs::path& folder, int64_t version, const ModelConfig& config,
                         absl::Span<const Backend> backends) {
  const uint64_t stamp = absl::HashOf(config.fingerprint, StampFolder(folder));
  const auto failed = [version, stamp](const absl::Status& status) {
    return VersionEntry{
        .version = version,
        .stamp = stamp,
        .status = absl::Status(status.code(), absl::StrCat("version ", version, ": ", status.message()))};
  };
  std::vector<const Backend*> found;
  for (const Backend& backend : backends) {
    const absl::StatusOr<bool> has_file = HasFile(folder / backend.file_name);
    if (!has_file.ok()) return failed(has_file.status());
    if (*has_file) found.push_back(&backend);
  }
  if (found.size() != 1) return failed(absl::InvalidArgumentError(WrongFiles(backends, found)));
  return VersionEntry{version, found.front(), folder / found.front()->file_name, stamp};
}

// A dangling link counts, so that no older version silently takes its place.
bool IsFolderOrLink(const fs::path& child) {
  std::error_code ignored;
  return fs::is_directory(child, ignored) || fs::is_symlink(child, ignored);
}

absl::Status ReadModel(const fs::path& folder, absl::Span<const Backend> backends, ModelEntry& entry) {
  // Before the files are read, so that what changes meanwhile is found the next time.
  const uint64_t samples = StampFolder(folder / kWarmUpFolder);
  absl::StatusOr<ModelConfig> config = ModelConfig::Load(folder / "model.toml");
  if (!config.ok()) return config.status();
  if (config->HasWarmUpFiles()) config->fingerprint = absl::HashOf(config->fingerprint, samples);
  const absl::StatusOr<std::vector<fs::path>> children = List(folder);
  if (!children.ok()) return About(folder, children.status());
  std::vector<int64_t> existing;
  for (const fs::path& child : *children) {
    if (!IsFolderOrLink(child)) continue;
    const std::string name = child.filename().string();
    if (const std::optional<int64_t> version = VersionOf(name)) {
      existing.push_back(*version);
    } else if (LooksLikeVersion(name)) {
      entry.odd_versions.push_back(name);
    }
  }
  std::sort(entry.odd_versions.begin(), entry.odd_versions.end());
  absl::StatusOr<std::vector<int64_t>> chosen = config->Choose(existing);
  if (!chosen.ok()) return chosen.status();
  for (int64_t version : *chosen) {
    entry.versions.push_back(ReadVersion(folder / absl::StrCat(version), version, *config, backends));
  }
  entry.config = *std::move(config);
  return absl::OkStatus();
}

}  // namespace

ModelEntry ReadModelFolder(const fs::path& folder, absl::Span<const Backend> backends) {
  ModelEntry entry;
  entry.name = folder.filename().string();
  // Before anything is read: what changes meanwhile is found the next time.
  entry.stamp = StampModel(folder);
  entry.status = CheckFolder(folder);
  entry.status = entry.status.ok() ? ReadModel(folder, backends, entry) : About(folder, entry.status);
  return entry;
}

uint64_t StampModel(const fs::path& folder) {
  const absl::StatusOr<std::vector<fs::path>> children = List(folder);
  const uint64_t stamp = absl::HashOf(StampFile(folder / "model.toml"), static_cast<int>(children.status().code()));
  std::map<int64_t, uint64_t> versions;
  for (const fs::path& child : children.value_or(std::vector<fs::path>())) {
    const std::optional<int64_t> version = VersionOf(child.filename().string());
    if (version.has_value() && IsFolderOrLink(child)) versions[*version] = StampFolder(child);
  }
  return absl::HashOf(stamp, StampFolder(folder / kWarmUpFolder), versions);
}

absl::StatusOr<std::vector<std::string>> ListModels(const fs::path& root) {
  const absl::StatusOr<std::vector<fs::path>> children = List(root);
  if (!children.ok()) return children.status();
  std::vector<std::string> names;
  for (const fs::path& child : *children) {
    if (KindOf(child) == Kind::kModel) names.push_back(child.filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<ModelRepository> ScanRepository(const fs::path& root, absl::Span<const Backend> backends) {
  const absl::StatusOr<std::vector<fs::path>> children = List(root);
  if (!children.ok()) {
    return absl::NotFoundError(
        absl::StrCat("the model repository '", root.string(), "' ", children.status().message()));
  }
  ModelRepository repository{.has_config = HasConfig(root)};
  for (const fs::path& child : *children) {
    const Kind kind = KindOf(child);
    if (kind == Kind::kFolder) repository.without_config.push_back(child.filename().string());
    if (kind == Kind::kModel) repository.models.push_back(ReadModelFolder(child, backends));
  }
  std::sort(repository.models.begin(), repository.models.end(),
            [](const ModelEntry& a, const ModelEntry& b) { return a.name < b.name; });
  std::sort(repository.without_config.begin(), repository.without_config.end());
  return repository;
}

}  // namespace predictd
