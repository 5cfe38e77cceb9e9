#include "server/engine/quarantine.h"

#include <algorithm>
#include <new>

namespace predictd {

bool Quarantine::KeepsApart(uint64_t caller) noexcept {
  MutexLock lock(mutex_);
  const auto found = trust_.find(caller);
  return found == trust_.end() || found->second <= 0;
}

void Quarantine::OnGuilty(uint64_t caller, TimePoint now) noexcept {
  MutexLock lock(mutex_);
  // What was said in an earlier alarm is forgotten.
  if (!alarm(now)) trust_.clear();
  until_.store((now + kAlarm).time_since_epoch().count(), std::memory_order_relaxed);
  Change(caller, -kSuccessesForFailure);
}

void Quarantine::OnInnocent(uint64_t caller) noexcept {
  MutexLock lock(mutex_);
  Change(caller, 1);
}

void Quarantine::Change(uint64_t caller, int by) {
  try {
    if (trust_.size() >= kCallers && !trust_.contains(caller)) trust_.clear();
    int& trust = trust_[caller];
    trust = std::clamp(trust + by, kLeastTrust, kMostTrust);
  } catch (const std::bad_alloc&) {
    // Who is not remembered is not trusted.
  }
}

}  // namespace predictd
