#include "server/model/traffic_split.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// Written so that NaN is outside.
bool IsWithin(double value, double least, double most) {
  return value >= least && value <= most;
}

absl::Status CheckRule(const RollbackRule& rule) {
  constexpr double kMostRatio = 1e6;
  if (rule.stable.empty()) return absl::InvalidArgumentError("rollback: expected the version that is stable");
  if (!IsWithin(rule.max_failure_excess, 0, 1)) {
    return absl::InvalidArgumentError("rollback: expected max_failure_excess from 0 to 1");
  }
  if (rule.max_latency_ratio != 0 && !IsWithin(rule.max_latency_ratio, 1, kMostRatio)) {
    return absl::InvalidArgumentError("rollback: expected max_latency_ratio to be 0, or from 1 to 1000000");
  }
  if (rule.max_failure_excess == 0 && rule.max_latency_ratio == 0) {
    return absl::InvalidArgumentError("rollback: expected max_failure_excess or max_latency_ratio above 0");
  }
  if (rule.min_requests < 1) return absl::InvalidArgumentError("rollback: expected min_requests of at least 1");
  return absl::OkStatus();
}

}  // namespace

std::optional<int64_t> VersionNamed(absl::string_view name, const VersionLabels& labels) {
  if (!std::all_of(name.begin(), name.end(), absl::ascii_isdigit)) {
    const auto found = labels.find(name);
    return found == labels.end() ? std::nullopt : std::optional<int64_t>(found->second);
  }
  int64_t number = 0;
  return absl::SimpleAtoi(name, &number) && number > 0 ? std::optional<int64_t>(number) : std::nullopt;
}

absl::Status TrafficSplit::Check() const {
  if (shares.empty() || shares.size() > kMostShares) {
    return absl::InvalidArgumentError(
        absl::StrCat("shares: expected those of 1 to ", kMostShares, " versions, got ", shares.size()));
  }
  int64_t sum = 0;
  std::set<absl::string_view> versions;
  for (const TrafficShare& share : shares) {
    if (share.version.empty()) return absl::InvalidArgumentError("shares: expected the number or label of a version");
    if (!versions.insert(share.version).second) {
      return absl::InvalidArgumentError(absl::StrCat("shares: '", share.version, "' is there twice"));
    }
    if (share.weight < 0 || share.weight > kMostWeight) {
      return absl::InvalidArgumentError(absl::StrCat("shares: expected a weight from 0 to ", kMostWeight, " for '",
                                                     share.version, "', got ", share.weight));
    }
    sum += share.weight;
  }
  if (sum == 0) return absl::InvalidArgumentError("shares: expected a weight above 0");
  if (shadow.empty() ? shadow_fraction != 0 : !(shadow_fraction > 0 && shadow_fraction <= 1)) {
    return absl::InvalidArgumentError("shadow: expected a version, and a fraction above 0 and at most 1");
  }
  return rollback.has_value() ? CheckRule(*rollback) : absl::OkStatus();
}

bool TrafficSplit::HasShare(absl::string_view name, const VersionLabels& labels) const {
  const std::optional<int64_t> number = VersionNamed(name, labels);
  return std::any_of(shares.begin(), shares.end(), [&](const TrafficShare& share) {
    return share.weight > 0 && VersionNamed(share.version, labels) == number;
  });
}

void TrafficSplit::ForEachVersion(const std::function<void(const std::string& version)>& visit) const {
  for (const TrafficShare& share : shares) visit(share.version);
  if (!shadow.empty()) visit(shadow);
  if (rollback.has_value()) visit(rollback->stable);
}

}  // namespace predictd
