#include "server/serving/catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/model/failure_reason.h"

namespace predictd {

absl::StatusOr<std::shared_ptr<const ServedModel>> CatalogSnapshot::Find(absl::string_view name) const {
  const auto found = models_.find(name);
  if (found != models_.end()) return found->second;
  if (models_.empty()) return absl::NotFoundError("there is no model at all");
  constexpr size_t kListed = 20;
  constexpr size_t kShown = 64;
  std::vector<absl::string_view> names;
  for (const auto& [known, model] : models_) {
    if (names.size() < kListed) names.push_back(known);
  }
  return absl::NotFoundError(absl::StrCat("there is no model '", name.substr(0, kShown), "'; there is ",
                                          absl::StrJoin(names, ", "), models_.size() > kListed ? ", ..." : ""));
}

bool CatalogSnapshot::loading() const {
  return std::any_of(models_.begin(), models_.end(), [](const auto& entry) { return entry.second->loading(); });
}

Catalog::Catalog(const std::vector<ModelEntry>& entries, Reaper& reaper, CatalogParts parts)
    : reaper_(reaper), parts_(std::move(parts)) {
  CatalogSnapshot::Models models;
  for (const ModelEntry& entry : entries) {
    const bool loaded = parts_.loaded == nullptr || parts_.loaded(entry.name);
    models.try_emplace(entry.name, loaded ? MakeModel(entry) : MakeUnloaded(entry));
  }
  const MutexLock writer(writer_);
  Publish(std::move(models));
}

ServedModel::Spec Catalog::MakeSpec(const ModelEntry& entry, const ServedModel* last) const {
  ServedModel::Spec model = {.name = entry.name,
                             .status = entry.status,
                             .config = std::make_shared<const ModelConfig>(entry.config),
                             .subject = last != nullptr ? last->subject() : nullptr};
  if (last == nullptr && parts_.subject != nullptr) model.subject = parts_.subject(entry.name);
  // It stays so until a version is ready.
  model.asleep = last != nullptr && last->asleep();
  if (last != nullptr && last->traffic() != nullptr && !last->traffic()->configured()) {
    model.traffic = last->spec().traffic;
  } else if (entry.config.traffic.has_value()) {
    model.traffic = std::make_shared<const TrafficRouter>(*entry.config.traffic, /*configured=*/true);
  }
  return model;
}

std::shared_ptr<const ServedModel> Catalog::MakeModel(const ModelEntry& entry, const ServedModel* last,
                                                      bool anew) const {
  ServedModel::Spec model = MakeSpec(entry, last);
  std::vector<std::shared_ptr<ServedVersion>> old;
  if (last != nullptr) old = last->versions();
  for (const VersionEntry& version : entry.versions) {
    model.wanted.push_back(version.version);
    const auto same = std::find_if(old.begin(), old.end(), [&](const auto& served) {
      return !anew && served->number() == version.version && served->entry().stamp == version.stamp &&
             (served->state() == VersionState::kReady || served->state() == VersionState::kLoading);
    });
    if (same == old.end()) {
      auto made = MakeVersion(
          {.model = model.name, .entry = version, .config = model.config, .subject = model.subject, .cache = nullptr});
      if (!version.status.ok()) made->SetFailed(FailureReason(version.status.message(), version.file));
      model.versions.push_back(reaper_.Own(std::move(made)));
    } else {
      model.versions.push_back(std::move(*same));
      old.erase(same);
    }
  }
  for (std::shared_ptr<ServedVersion>& served : old) {
    const VersionState state = served->state();
    if (state == VersionState::kReady || state == VersionState::kDraining) model.versions.push_back(std::move(served));
  }
  model.labels =
      LabelsInForce(model.config->labels, last != nullptr ? last->labels() : VersionLabels(), model.versions);
  // A successor stays before the version that it replaces.
  std::stable_sort(model.versions.begin(), model.versions.end(),
                   [](const auto& a, const auto& b) { return a->number() > b->number(); });
  return std::make_shared<const ServedModel>(std::move(model));
}

std::shared_ptr<const ServedModel> Catalog::MakeUnloaded(const ModelEntry& entry) const {
  ServedModel::Spec model = MakeSpec(entry, nullptr);
  model.loaded = false;
  model.labels = model.config->labels;
  for (const VersionEntry& version : entry.versions) {
    ServedVersion::Spec spec = {
        .model = model.name, .entry = version, .config = model.config, .subject = model.subject, .cache = nullptr};
    model.versions.push_back(std::make_shared<ServedVersion>(std::move(spec), VersionState::kUnloaded));
  }
  return std::make_shared<const ServedModel>(std::move(model));
}

std::shared_ptr<const ServedModel> Catalog::MakeWaking(const ServedModel& last) const {
  ServedModel::Spec model = last.spec();
  for (std::shared_ptr<ServedVersion>& version : model.versions) {
    const VersionState state = version->state();
    if (state == VersionState::kReady || state == VersionState::kLoading) continue;
    version = reaper_.Own(MakeVersion(version->Again()));
  }
  return std::make_shared<const ServedModel>(std::move(model));
}

std::unique_ptr<ServedVersion> Catalog::MakeVersion(ServedVersion::Spec spec) const {
  if (parts_.cache != nullptr && spec.config->response_cache_bytes > 0) {
    spec.cache = parts_.cache(spec.model, *spec.config, spec.entry.version);
  }
  return std::make_unique<ServedVersion>(std::move(spec));
}

std::shared_ptr<const CatalogSnapshot> Catalog::snapshot() const {
  const MutexLock lock(mutex_);
  return snapshot_;
}

void Catalog::Publish(CatalogSnapshot::Models models) {
  auto next = std::make_shared<const CatalogSnapshot>(std::move(models));
  {
    const MutexLock lock(mutex_);
    snapshot_.swap(next);
  }
  // The last snapshot ends here, outside of the lock.
}

void Catalog::Put(std::shared_ptr<const ServedModel> model) {
  const MutexLock writer(writer_);
  CatalogSnapshot::Models models = snapshot()->models();
  models.insert_or_assign(model->name(), std::move(model));
  Publish(std::move(models));
}

void Catalog::Remove(absl::string_view model) {
  const MutexLock writer(writer_);
  CatalogSnapshot::Models models = snapshot()->models();
  const auto found = models.find(model);
  if (found == models.end()) return;
  models.erase(found);
  Publish(std::move(models));
}

}  // namespace predictd
