#include "server/load_report.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/model/failure_reason.h"
#include "server/model/memory_plan.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

std::string_view View(absl::string_view text) {
  return {text.data(), text.size()};
}

void LogFailure(const ServedVersion& version, const absl::Status& status) {
  Log(LogLevel::kError, "model could not be loaded",
      {{"model", version.model()},
       {"version", version.number()},
       {"cause", View(WithoutStackTrace(status.message()))}});
}

void LogReady(const ServedVersion& version, const LoadFindings& findings) {
  std::vector<Field> fields = {{"model", version.model()}, {"version", version.number()}};
  const std::string working = BytesName(findings.working_bytes);
  if (!findings.warm_up.empty()) fields.push_back({"warmup", findings.warm_up});
  if (findings.working_bytes > 0) fields.push_back({"runs_take", working});
  if (!findings.note.empty()) fields.push_back({"note", findings.note});
  Log(findings.note.empty() ? LogLevel::kInfo : LogLevel::kWarning, "model ready", fields);
  if (findings.shortage.empty()) return;
  Log(LogLevel::kWarning, "no memory for the largest batches: requests and batches may have fewer rows",
      {{"model", version.model()},
       {"version", version.number()},
       {"rows", findings.most_rows},
       {"max_batch_size", version.config().signature.max_batch_size},
       {"cause", findings.shortage}});
}

}  // namespace

void LogRepository(const std::string& path, const ModelRepository& repository) {
  for (const ModelEntry& entry : repository.models) {
    if (!entry.status.ok()) {
      Log(LogLevel::kError, "model has no valid configuration",
          {{"model", entry.name}, {"cause", View(entry.status.message())}});
    }
    for (const std::string& folder : entry.odd_versions) {
      Log(LogLevel::kWarning, "a folder is no version of its model: those are named 1, 2, ... without leading zeros",
          {{"model", entry.name}, {"folder", folder}});
    }
  }
  if (repository.has_config) {
    Log(LogLevel::kWarning,
        "the model repository has a model.toml of its own: --model-repository is the folder that has the models' "
        "folders",
        {{"path", path}});
  }
  for (const std::string& folder : repository.without_config) {
    Log(LogLevel::kWarning, "a folder is no model: it has no model.toml", {{"folder", folder}});
  }
  if (repository.models.empty()) Log(LogLevel::kWarning, "the model repository has no models", {{"path", path}});
}

LoadReport::LoadReport(const Catalog& catalog, ReadyCondition ready, std::string ready_text, HealthRegistry& health)
    : catalog_(catalog), ready_(std::move(ready)), ready_text_(std::move(ready_text)), health_(health) {
  const auto models = catalog_.snapshot();
  for (const auto& [name, model] : models->models()) {
    health_.Set(name, false);
    for (const auto& version : model->versions()) {
      if (version->state() == VersionState::kFailed) LogFailure(*version, version->entry().status);
    }
  }
  SetHealth(*models);
  if (!models->loading()) LogEnd(*models);
}

void LoadReport::OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings) {
  // Health comes first: the log may fail for want of memory.
  const auto models = catalog_.snapshot();
  if (const auto model = models->Find(version.model()); model.ok()) health_.Set(version.model(), (*model)->ready());
  SetHealth(*models);
  if (status.ok()) {
    LogReady(version, findings);
  } else {
    LogFailure(version, status);
  }
  if (!models->loading()) LogEnd(*models);
}

void LoadReport::SetHealth(const CatalogSnapshot& models) {
  const bool serving = ready_.Met(models);
  health_.Set("", serving);
  if (std::exchange(serving_, serving) != serving && models.loading()) {
    Log(LogLevel::kInfo, "serving, while other models are still being loaded", {{"ready", ready_text_}});
  }
}

void LoadReport::LogEnd(const CatalogSnapshot& models) const {
  if (serving_) {
    Log(LogLevel::kInfo, "all models are loaded: serving");
    return;
  }
  std::vector<std::string> failed;
  for (const auto& [name, model] : models.models()) {
    if (!model->ready()) failed.push_back(name);
  }
  Log(LogLevel::kError, "all models are loaded or have failed: not serving, as --ready asks for more",
      {{"ready", ready_text_}, {"failed", absl::StrJoin(failed, ", ")}});
}

}  // namespace predictd
