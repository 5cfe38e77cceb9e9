#include "server/load_report.h"

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
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

void LogWrongFolder(const std::string& model, const absl::Status& status) {
  Log(LogLevel::kError, "model has no valid configuration", {{"model", model}, {"cause", View(status.message())}});
}

// Logs the versions whose folder is wrong.
void LogFailures(const ServedModel& model) {
  for (const auto& version : model.versions()) {
    if (version->state() == VersionState::kFailed) LogFailure(*version, version->entry().status);
  }
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
    if (!entry.status.ok()) LogWrongFolder(entry.name, entry.status);
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

LoadReport::LoadReport(const Catalog& catalog, ReadyCondition ready, std::string ready_text, HealthRegistry& health,
                       MetricsRegistry& metrics)
    : catalog_(catalog),
      ready_(std::move(ready)),
      ready_text_(std::move(ready_text)),
      health_(health),
      loads_(metrics.AddCounter("predictd_model_loads_total",
                                "Versions that became ready or failed, and folders that were refused as wrong.",
                                {"model", "result"})),
      rollbacks_(metrics.AddCounter("predictd_model_rollbacks_total",
                                    "Times that the rule of a traffic split gave everything to the stable version.",
                                    {"model"})) {
  const auto models = catalog_.snapshot();
  for (const auto& [name, model] : models->models()) {
    health_.Set(name, false);
    LogFailures(*model);
  }
  if (SetHealth(*models)) LogEnd(*models);
}

void LoadReport::OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings) {
  // Health comes first: the log may fail for want of memory.
  const auto models = catalog_.snapshot();
  if (const auto model = models->Find(version.model()); model.ok()) health_.Set(version.model(), (*model)->serving());
  const bool ended = SetHealth(*models);
  Count(version.model(), status.ok() ? "ready" : "failed");
  if (status.ok()) {
    LogReady(version, findings);
  } else {
    LogFailure(version, status);
  }
  if (ended) LogEnd(*models);
}

void LoadReport::OnChanged(const ServedModel& model) {
  health_.Set(model.name(), model.serving());
  const auto models = catalog_.snapshot();
  const bool ended = SetHealth(*models);
  Log(LogLevel::kInfo, "a model's folder has changed", {{"model", model.name()}});
  if (model.status().ok()) {
    LogFailures(model);
  } else {
    Count(model.name(), "refused");
    LogWrongFolder(model.name(), model.status());
  }
  if (ended) LogEnd(*models);
}

void LoadReport::OnRetired(const ServedVersion& version) {
  Log(LogLevel::kInfo, "a version takes no more calls", {{"model", version.model()}, {"version", version.number()}});
}

void LoadReport::OnUnloaded(const ServedModel& model) {
  health_.Set(model.name(), model.serving());
  const auto models = catalog_.snapshot();
  const bool ended = SetHealth(*models);
  Log(LogLevel::kInfo,
      model.asleep() ? "a model is idle: unloaded until the next request" : "a model has been unloaded",
      {{"model", model.name()}});
  if (ended) LogEnd(*models);
}

void LoadReport::OnWaking(const ServedModel& model) {
  Log(LogLevel::kInfo, "a request wakes a model", {{"model", model.name()}});
}

void LoadReport::OnTraffic(const ServedModel& model, const std::string& why) {
  std::string shares = "none";
  if (model.traffic() != nullptr) {
    shares = absl::StrJoin(model.traffic()->split().shares, ", ", [](std::string* out, const TrafficShare& share) {
      absl::StrAppend(out, share.version, "=", share.weight);
    });
  }
  if (why.empty()) {
    Log(LogLevel::kInfo, "the traffic split has changed", {{"model", model.name()}, {"traffic", shares}});
  } else {
    rollbacks_.With({model.name()}).Increment();
    Log(LogLevel::kError, "rolled back: one version gets all traffic",
        {{"model", model.name()}, {"traffic", shares}, {"cause", why}});
  }
}

void LoadReport::OnRemoved(const std::string& model) {
  health_.Remove(model);
  counters_.erase(model);
  const auto models = catalog_.snapshot();
  const bool ended = SetHealth(*models);
  Log(LogLevel::kInfo, "a model has been removed", {{"model", model}});
  if (ended) LogEnd(*models);
}

void LoadReport::OnRepository(const absl::Status& status) {
  if (status.ok()) {
    Log(LogLevel::kInfo, "the model repository can be read again");
  } else {
    Log(LogLevel::kError, "the model repository cannot be read: its models stay as they are",
        {{"cause", View(status.message())}});
  }
}

void LoadReport::Count(const std::string& model, const char* result) {
  std::shared_ptr<Counter>& counter = counters_[model][result];
  if (counter == nullptr) counter = loads_.Share({model, result});
  counter->Increment();
}

bool LoadReport::SetHealth(const CatalogSnapshot& models) {
  const bool serving = ready_.Met(models, serving_);
  health_.Set("", serving);
  if (std::exchange(serving_, serving) != serving) {
    if (!serving) {
      Log(LogLevel::kError, "not serving any more, as --ready asks for more", {{"ready", ready_text_}});
    } else if (models.loading()) {
      Log(LogLevel::kInfo, "serving, while other models are still being loaded", {{"ready", ready_text_}});
    } else if (started_) {
      Log(LogLevel::kInfo, "serving again", {{"ready", ready_text_}});
    }
  }
  return !models.loading() && !std::exchange(started_, true);
}

void LoadReport::LogEnd(const CatalogSnapshot& models) const {
  if (serving_) {
    Log(LogLevel::kInfo, "all models are loaded: serving");
    return;
  }
  std::vector<std::string> failed;
  for (const auto& [name, model] : models.models()) {
    if (model->loaded() && !model->serving()) failed.push_back(name);
  }
  Log(LogLevel::kError, "all models are loaded or have failed: not serving, as --ready asks for more",
      {{"ready", ready_text_}, {"failed", absl::StrJoin(failed, ", ")}});
}

}  // namespace predictd
