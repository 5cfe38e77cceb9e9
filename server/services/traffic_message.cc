#include "server/services/traffic_message.h"

namespace predictd {

void FillTraffic(const TrafficSplit& split, v1::TrafficSplit& message) {
  for (const TrafficShare& share : split.shares) {
    v1::TrafficShare& added = *message.add_shares();
    added.set_version(share.version);
    added.set_weight(share.weight);
  }
  if (!split.shadow.empty()) {
    message.mutable_shadow()->set_version(split.shadow);
    message.mutable_shadow()->set_fraction(split.shadow_fraction);
  }
  if (!split.rollback.has_value()) return;
  v1::RollbackRule& rule = *message.mutable_rollback();
  rule.set_stable(split.rollback->stable);
  rule.set_max_failure_excess(split.rollback->max_failure_excess);
  rule.set_max_latency_ratio(split.rollback->max_latency_ratio);
  rule.set_min_requests(split.rollback->min_requests);
}

TrafficSplit ReadTraffic(const v1::TrafficSplit& message) {
  TrafficSplit split;
  for (const v1::TrafficShare& share : message.shares()) {
    split.shares.push_back({.version = share.version(), .weight = share.weight()});
  }
  split.shadow = message.shadow().version();
  split.shadow_fraction = message.shadow().fraction();
  if (message.has_rollback()) {
    const v1::RollbackRule& rule = message.rollback();
    split.rollback = {.stable = rule.stable(),
                      .max_failure_excess = rule.max_failure_excess(),
                      .max_latency_ratio = rule.max_latency_ratio(),
                      .min_requests = rule.min_requests() == 0 ? RollbackRule().min_requests : rule.min_requests()};
  }
  return split;
}

}  // namespace predictd
