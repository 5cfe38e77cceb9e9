#include "server/model/traffic_reader.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/files/table_reader.h"

namespace predictd {
namespace {

constexpr absl::string_view kShares =
    "a table of versions or labels with their weights, as in {stable = 90, canary = 10}";

void ReadNumber(TableReader& reader, absl::string_view key, double& value) {
  const toml::node* const node = reader.Find(key);
  if (node == nullptr) return;
  if (!node->is_number()) return reader.Fail(key, "a number");
  value = *node->value<double>();
}

void ReadShares(TableReader& reader, TrafficSplit& split) {
  const toml::node* const node = reader.Find("split");
  if (node == nullptr || !node->is_table()) return reader.Fail("split", kShares);
  for (const auto& [key, value] : *node->as_table()) {
    const std::optional<int64_t> weight = value.value_exact<int64_t>();
    if (!weight.has_value()) return reader.Fail("split", kShares);
    split.shares.push_back({.version = std::string(key.str()), .weight = *weight});
  }
}

void ReadShadow(TableReader& reader, TrafficSplit& split) {
  const toml::node* const node = reader.Find("shadow");
  if (node == nullptr) return;
  if (!node->is_table()) return reader.Fail("shadow", R"(a table, as in {version = "canary", fraction = 0.1})");
  TableReader shadow(*node->as_table(), "traffic.shadow.");
  shadow.Read<std::string>("version", "the number or label of a version as a string", split.shadow);
  ReadNumber(shadow, "fraction", split.shadow_fraction);
  reader.Fail(shadow.Finish());
}

void ReadRollback(TableReader& reader, TrafficSplit& split) {
  const toml::node* const node = reader.Find("rollback");
  if (node == nullptr) return;
  if (!node->is_table()) {
    return reader.Fail("rollback", R"(a table, as in {stable = "stable", max_failure_excess = 0.05})");
  }
  RollbackRule& rule = split.rollback.emplace();
  TableReader fields(*node->as_table(), "traffic.rollback.");
  fields.Read<std::string>("stable", "the number or label of a version as a string", rule.stable);
  ReadNumber(fields, "max_failure_excess", rule.max_failure_excess);
  ReadNumber(fields, "max_latency_ratio", rule.max_latency_ratio);
  fields.Read<int64_t>("min_requests", "a whole number", rule.min_requests);
  reader.Fail(fields.Finish());
}

}  // namespace

absl::StatusOr<TrafficSplit> ReadTraffic(const toml::node& node, const VersionLabels& labels) {
  if (!node.is_table()) return BadKey("traffic", "a table");
  TrafficSplit split;
  TableReader reader(*node.as_table(), "traffic.");
  ReadShares(reader, split);
  ReadShadow(reader, split);
  ReadRollback(reader, split);
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  if (absl::Status status = split.Check(); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("traffic: ", status.message()));
  }
  absl::Status unknown;
  split.ForEachVersion([&](const std::string& version) {
    if (VersionNamed(version, labels).has_value()) return;
    unknown.Update(absl::InvalidArgumentError(
        absl::StrCat("traffic: '", version, "' is neither the number of a version nor among the labels")));
  });
  if (!unknown.ok()) return unknown;
  if (split.rollback.has_value() && !split.HasShare(split.rollback->stable, labels)) {
    return absl::InvalidArgumentError("traffic: rollback: the version that is stable has no share");
  }
  return split;
}

}  // namespace predictd
