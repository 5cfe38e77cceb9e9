#include "server/serving/served_model.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "server/async/retry_advice.h"

namespace predictd {

VersionLabels LabelsInForce(const VersionLabels& wanted, const VersionLabels& last,
                            const std::vector<std::shared_ptr<ServedVersion>>& versions) {
  const auto ready = [&versions](int64_t number) {
    return std::any_of(versions.begin(), versions.end(), [number](const auto& version) {
      return version->number() == number && version->state() == VersionState::kReady;
    });
  };
  VersionLabels labels = wanted;
  for (auto& [label, number] : labels) {
    const auto before = last.find(label);
    if (before != last.end() && !ready(number) && ready(before->second)) number = before->second;
  }
  return labels;
}

absl::StatusOr<std::shared_ptr<const ServedVersion>> ServedModel::Choose(int64_t version) const {
  const ServedVersion* failed = nullptr;
  bool found = false;
  bool awaited = false;
  for (const auto& candidate : versions()) {
    if (version != 0 && candidate->number() != version) continue;
    found = true;
    switch (candidate->state()) {
      case VersionState::kReady:
        return candidate;
      case VersionState::kFailed:
        failed = candidate.get();
        break;
      case VersionState::kLoading:
        awaited = true;
        break;
      case VersionState::kDraining:
      case VersionState::kUnloaded:
        break;
    }
  }
  if (!found && !versions().empty()) return NoVersion(version);
  if (absl::Status valid = CheckConfigured(); !valid.ok()) return valid;
  if (!loaded()) return WithoutRetry(absl::UnavailableError(absl::StrCat("model '", name(), "' is not loaded")));
  if (!found) return NoVersion(version);
  if (awaited) {
    return WithRetryAfter(absl::UnavailableError(absl::StrCat("model '", name(), "' is still loading")),
                          absl::Seconds(1));
  }
  if (failed != nullptr) {
    return WithoutRetry(
        absl::UnavailableError(absl::StrCat("model '", name(), "' could not be loaded: ", failed->reason())));
  }
  if (asleep()) {
    return WithRetryAfter(absl::UnavailableError(absl::StrCat("model '", name(), "' was idle and is not loaded yet")),
                          absl::Seconds(1));
  }
  return WithoutRetry(absl::UnavailableError(absl::StrCat("model '", name(), "' has been unloaded")));
}

absl::StatusOr<std::shared_ptr<const ServedVersion>> ServedModel::Route(absl::string_view traffic_key) const {
  if (traffic() == nullptr) return Choose(0);
  const std::vector<TrafficShare>& shares = traffic()->split().shares;
  const auto ready = [&](size_t share) { return FindReady(shares[share].version) != nullptr; };
  const std::optional<size_t> share = traffic()->Choose(traffic_key, ready);
  return share.has_value() ? FindReady(shares[*share].version) : Choose(0);
}

std::shared_ptr<const ServedVersion> ServedModel::Shadow() const {
  if (traffic() == nullptr || traffic()->split().shadow.empty() || !traffic()->CopyNext()) return nullptr;
  std::shared_ptr<const ServedVersion> shadow = FindReady(traffic()->split().shadow);
  return shadow == nullptr || shadow->runner() == nullptr ? nullptr : shadow;
}

std::shared_ptr<const ServedVersion> ServedModel::FindReady(absl::string_view name) const {
  const std::optional<int64_t> number = VersionNamed(name, labels());
  if (!number.has_value()) return nullptr;
  const auto found = std::find_if(versions().begin(), versions().end(), [&number](const auto& version) {
    return version->number() == *number && version->state() == VersionState::kReady;
  });
  return found == versions().end() ? nullptr : *found;
}

absl::StatusOr<std::shared_ptr<const ServedVersion>> ServedModel::Choose(absl::string_view label) const {
  const absl::StatusOr<int64_t> version = Labelled(label);
  if (!version.ok()) return version.status();
  return Choose(*version);
}

absl::StatusOr<int64_t> ServedModel::Labelled(absl::string_view label) const {
  const auto found = labels().find(label);
  if (found != labels().end()) return found->second;
  constexpr size_t kShown = 64;
  std::string message = absl::StrCat("model '", name(), "' has no label '", label.substr(0, kShown), "'");
  if (!labels().empty()) {
    absl::StrAppend(&message, "; there is ", absl::StrJoin(labels(), ", ", [](std::string* out, const auto& entry) {
      out->append(entry.first);
    }));
  }
  return absl::NotFoundError(message);
}

absl::Status ServedModel::CheckConfigured() const {
  if (status().ok()) return absl::OkStatus();
  return WithoutRetry(absl::UnavailableError(
      absl::StrCat("model '", name(), "' has no valid configuration: GetModel says what is wrong")));
}

const ServedVersion* ServedModel::Find(int64_t version) const {
  const ServedVersion* first = nullptr;
  for (const auto& served : versions()) {
    if (served->number() != version) continue;
    if (served->state() == VersionState::kReady) return served.get();
    if (first == nullptr) first = served.get();
  }
  return first;
}

absl::Status ServedModel::NoVersion(int64_t version) const {
  std::vector<int64_t> numbers;
  for (const auto& served : versions()) {
    if (numbers.empty() || numbers.back() != served->number()) numbers.push_back(served->number());
  }
  return absl::NotFoundError(
      absl::StrCat("model '", name(), "' has no version ", version, "; there is ", absl::StrJoin(numbers, ", ")));
}

const ServedVersion* ServedModel::NewestReady() const {
  const auto found = std::find_if(versions().begin(), versions().end(),
                                  [](const auto& version) { return version->state() == VersionState::kReady; });
  return found == versions().end() ? nullptr : found->get();
}

bool ServedModel::failed() const {
  return std::any_of(versions().begin(), versions().end(),
                     [](const auto& version) { return version->state() == VersionState::kFailed; });
}

bool ServedModel::loading() const {
  return std::any_of(versions().begin(), versions().end(),
                     [](const auto& version) { return version->state() == VersionState::kLoading; });
}

}  // namespace predictd
