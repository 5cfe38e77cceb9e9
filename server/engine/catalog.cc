#include "server/engine/catalog.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "server/model/retry_advice.h"

namespace predictd {

ServedModel::ServedModel(ModelEntry entry, const ResponseCacheFactory& make_cache) : entry_(std::move(entry)) {
  const bool cached = make_cache != nullptr && entry_.config.response_cache_bytes > 0;
  for (const VersionEntry& version : entry_.versions) {
    std::shared_ptr<ResponseCache> cache = cached ? make_cache(entry_, version.version) : nullptr;
    versions_.push_back(std::make_unique<ServedVersion>(version, std::move(cache)));
  }
}

absl::StatusOr<ServedVersion*> ServedModel::Choose(int64_t version) const {
  const ServedVersion* failed = nullptr;
  bool found = false;
  for (const auto& candidate : versions_) {
    if (version != 0 && candidate->entry().version != version) continue;
    found = true;
    switch (candidate->state()) {
      case VersionState::kReady:
        return candidate.get();
      case VersionState::kFailed:
        failed = candidate.get();
        break;
      case VersionState::kLoading:
        break;
    }
  }
  if (!entry_.status.ok())
    return absl::UnavailableError(absl::StrCat("model '", name(), "' has no valid configuration"));
  if (!found) {
    return absl::NotFoundError(absl::StrCat("model '", name(), "' has no version ", version, "; there is ",
                                            absl::StrJoin(versions_, ", ", [](std::string* out, const auto& served) {
                                              absl::StrAppend(out, served->entry().version);
                                            })));
  }
  if (failed != nullptr && (version != 0 || !loading())) {
    return absl::UnavailableError(absl::StrCat("model '", name(), "' could not be loaded: ", failed->reason()));
  }
  return WithRetryAfter(absl::UnavailableError(absl::StrCat("model '", name(), "' is still loading")),
                        absl::Seconds(1));
}

bool ServedModel::ready() const {
  return std::any_of(versions_.begin(), versions_.end(),
                     [](const auto& version) { return version->state() == VersionState::kReady; });
}

bool ServedModel::loading() const {
  return std::any_of(versions_.begin(), versions_.end(),
                     [](const auto& version) { return version->state() == VersionState::kLoading; });
}

Catalog::Catalog(std::vector<ModelEntry> entries, const ResponseCacheFactory& make_cache) {
  for (ModelEntry& entry : entries) {
    std::string name = entry.name;
    models_.try_emplace(std::move(name), std::move(entry), make_cache);
  }
}

absl::StatusOr<const ServedModel*> Catalog::Find(absl::string_view name) const {
  const auto found = models_.find(name);
  if (found != models_.end()) return &found->second;
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

bool Catalog::loading() const {
  return std::any_of(models_.begin(), models_.end(), [](const auto& entry) { return entry.second.loading(); });
}

}  // namespace predictd
