#include "server/telemetry/failure_limiter.h"

namespace predictd {

bool FailureLimiter::Admit(LogLevel level, std::string_view model, std::string_view code, Time now) {
  std::tuple<LogLevel, std::string, std::string> key(level, model, code);
  MutexLock lock(mutex_);
  auto found = seconds_.find(key);
  if (found == seconds_.end()) {
    if (seconds_.size() >= kMaxPairs) key = {level, "", ""};
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
    taken.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), second.held_back});
    second.held_back = 0;
  }
  return taken;
}

}  // namespace predictd
