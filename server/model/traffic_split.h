#ifndef PREDICTD_SERVER_MODEL_TRAFFIC_SPLIT_H_
#define PREDICTD_SERVER_MODEL_TRAFFIC_SPLIT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace predictd {

// Names for versions.
using VersionLabels = std::map<std::string, int64_t, std::less<>>;

// The number of the version that `name` stands for: a number itself, or a label. nullopt if it is neither.
std::optional<int64_t> VersionNamed(absl::string_view name, const VersionLabels& labels);

// The share of one version, which is named by its number or a label. Its part is the weight over the sum of all.
struct TrafficShare {
  std::string version;
  int64_t weight = 0;

  friend bool operator==(const TrafficShare&, const TrafficShare&) = default;
};

// When one version gets everything because the others are worse.
struct RollbackRule {
  // The number or label of the version that gets everything.
  std::string stable;
  // By how much more of another version's requests may fail, as a part of them; 0: it is not looked at.
  double max_failure_excess = 0;
  // How many times as long the requests of another version may take; 0: it is not looked at.
  double max_latency_ratio = 0;
  // How many requests both must have had.
  int64_t min_requests = 100;

  friend bool operator==(const RollbackRule&, const RollbackRule&) = default;
};

// Which versions of a model get the requests that name none.
struct TrafficSplit {
  static constexpr size_t kMostShares = 16;
  static constexpr int64_t kMostWeight = 1'000'000;

  std::vector<TrafficShare> shares;
  // The version that gets copies of requests; empty if there is none.
  std::string shadow;
  // The part of the requests that is copied.
  double shadow_fraction = 0;
  std::optional<RollbackRule> rollback;

  // INVALID_ARGUMENT says what is wrong. Whether the versions exist is not looked at.
  absl::Status Check() const;

  // Whether the version that `name` stands for gets any requests.
  bool HasShare(absl::string_view name, const VersionLabels& labels) const;

  // Calls `visit` with the name of each version.
  void ForEachVersion(const std::function<void(const std::string& version)>& visit) const;

  friend bool operator==(const TrafficSplit&, const TrafficSplit&) = default;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TRAFFIC_SPLIT_H_
