#include "server/serving/traffic_judge.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace predictd {
namespace {

double PartOf(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

double MeanMilliseconds(Duration time, int64_t count) {
  return count == 0 ? 0 : std::chrono::duration<double, std::milli>(time).count() / static_cast<double>(count);
}

}  // namespace

TrafficJudge::Counts TrafficJudge::CountsOf(const ServedVersion& version) {
  if (version.runner() == nullptr) return {};
  const RunnerStatistics::Snapshot all = version.runner()->statistics().Read();
  return {.answered = all.answered.count, .broken = all.broken, .time = all.answered.time};
}

std::string TrafficJudge::Compare(const RollbackRule& rule, const ServedVersion& stable, const Counts& stable_did,
                                  const ServedVersion& other, const Counts& other_did, bool& enough) {
  const int64_t stable_requests = stable_did.answered + stable_did.broken;
  const int64_t other_requests = other_did.answered + other_did.broken;
  if (std::min(stable_requests, other_requests) < rule.min_requests) {
    enough = false;
    return "";
  }
  const double stable_fails = PartOf(stable_did.broken, stable_requests);
  const double other_fails = PartOf(other_did.broken, other_requests);
  if (rule.max_failure_excess > 0 && other_fails - stable_fails > rule.max_failure_excess) {
    return absl::StrFormat("version %d fails %.1f %% of its requests, and version %d %.1f %%", other.number(),
                           100 * other_fails, stable.number(), 100 * stable_fails);
  }
  const double stable_takes = MeanMilliseconds(stable_did.time, stable_did.answered);
  const double other_takes = MeanMilliseconds(other_did.time, other_did.answered);
  if (rule.max_latency_ratio > 0 && stable_did.answered > 0 && other_takes > rule.max_latency_ratio * stable_takes) {
    return absl::StrFormat("requests of version %d take %.2f ms, and those of version %d %.2f ms", other.number(),
                           other_takes, stable.number(), stable_takes);
  }
  return "";
}

std::vector<TrafficJudge::Verdict> TrafficJudge::Judge(const CatalogSnapshot& models) {
  std::vector<Verdict> verdicts;
  std::map<std::string, Watched> watched;
  for (const auto& [name, model] : models.models()) {
    const TrafficRouter* const router = model->traffic();
    if (router == nullptr || !router->split().rollback.has_value()) continue;
    Watched& now = watched[name];
    now.router = model->spec().traffic;
    const auto before = watched_.find(name);
    const bool known = before != watched_.end() && before->second.router.lock().get() == router;
    if (known) now.begin = std::move(before->second.begin);

    const RollbackRule& rule = *router->split().rollback;
    const std::shared_ptr<const ServedVersion> stable = model->FindReady(rule.stable);
    std::string why;
    // Whether all could be compared, the smallest one too.
    bool enough = stable != nullptr;
    const auto did = [&](const std::shared_ptr<const ServedVersion>& version) {
      Counts counts = CountsOf(*version);
      const auto begin = now.begin.find(version);
      if (begin == now.begin.end()) return counts;
      counts.answered -= begin->second.answered;
      counts.broken -= begin->second.broken;
      counts.time -= begin->second.time;
      return counts;
    };
    for (const TrafficShare& share : router->split().shares) {
      const std::shared_ptr<const ServedVersion> other = model->FindReady(share.version);
      if (!known || !why.empty() || stable == nullptr || other == nullptr || other == stable || share.weight == 0) {
        continue;
      }
      why = Compare(rule, *stable, did(stable), *other, did(other), enough);
    }
    if (!why.empty()) verdicts.push_back({.model = model, .why = std::move(why)});
    if (known && !enough) continue;
    now.begin.clear();
    for (const auto& version : model->versions()) {
      if (version->state() == VersionState::kReady) now.begin.emplace(version, CountsOf(*version));
    }
  }
  watched_ = std::move(watched);
  return verdicts;
}

}  // namespace predictd
