#include "server/model_check.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/backends.h"
#include "server/model/repository.h"
#include "server/serving/generator_loading.h"

namespace predictd {

absl::StatusOr<std::string> CheckModel(const std::filesystem::path& folder) {
  const ModelEntry model = ReadModelFolder(folder, Backends());
  if (!model.status.ok()) return model.status;
  std::vector<int64_t> versions;
  for (const VersionEntry& version : model.versions) {
    versions.push_back(version.version);
    absl::Status status = version.status;
    if (status.ok() && model.config.generator.has_value()) status = LoadGeneratorText(version, Backends()).status();
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("version ", version.version, ": ", status.message()));
    }
  }
  return absl::StrCat("a ", model.config.generator.has_value() ? "generator" : "tensor model", ", version ",
                      absl::StrJoin(versions, ", "));
}

}  // namespace predictd
