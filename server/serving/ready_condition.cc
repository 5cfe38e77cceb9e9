#include "server/serving/ready_condition.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace predictd {

absl::StatusOr<ReadyCondition> ReadyCondition::Create(absl::string_view text, const CatalogSnapshot& catalog) {
  if (text == "any") return ReadyCondition(Kind::kAny, {});
  if (text == "all") return ReadyCondition(Kind::kAll, {});
  std::vector<std::string> names;
  for (absl::string_view name : absl::StrSplit(text, ',')) {
    name = absl::StripAsciiWhitespace(name);
    const auto model = catalog.Find(name);
    if (!model.ok()) return absl::InvalidArgumentError(model.status().message());
    names.emplace_back(name);
  }
  return ReadyCondition(Kind::kNamed, std::move(names));
}

bool ReadyCondition::Met(const CatalogSnapshot& catalog, bool was_met) const {
  if (was_met && kind_ != Kind::kNamed) return true;
  const auto& models = catalog.models();
  const auto ready = [](const auto& named) { return named.second->serving(); };
  const auto unloaded = [](const auto& named) { return !named.second->loaded(); };
  switch (kind_) {
    case Kind::kAny:
      return !catalog.loading() &&
             (std::all_of(models.begin(), models.end(), unloaded) || std::any_of(models.begin(), models.end(), ready));
    case Kind::kAll:
      return std::all_of(models.begin(), models.end(),
                         [&](const auto& named) { return ready(named) || unloaded(named); });
    case Kind::kNamed:
      break;
  }
  return std::all_of(names_.begin(), names_.end(), [&models](const std::string& name) {
    const auto model = models.find(name);
    return model != models.end() && model->second->serving();
  });
}

}  // namespace predictd
