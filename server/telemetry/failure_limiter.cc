#include "server/telemetry/failure_limiter.h"

namespace predictd {

bool FailureLimiter::Admit(std::string_view model, std::string_view code, Time now) {
  std::pair<std::string, std::string> key(model, code);
  MutexLock lock(mutex_);
  auto found = seconds_.find(key);
  if (found == seconds_.end()) {
    if (seconds_.size() >= kMaxPairs) key = {};
    found = seconds_.try_emplace(std::move(key)).first;
  }
  Second& second = found->second;
  if (now >= second.end) {
    second.end = now + std::chrono::seconds(1);
    second.seen = 0;
  }
  if (++second.seen <= per_second_) return true;
  ++second.held_back;
  return false;
}

std::vector<FailureLimiter::HeldBack> FailureLimiter::Take(Time now) {
  std::vector<HeldBack> taken;
  MutexLock lock(mutex_);
  for (auto& [key, second] : seconds_) {
    if (second.held_back == 0 || now < second.end) continue;
    taken.push_back({key.first, key.second, second.held_back});
    second.held_back = 0;
  }
  return taken;
}

}  // namespace predictd
