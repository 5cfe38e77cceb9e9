#include "server/rpc/health_registry.h"

namespace predictd {

std::optional<bool> HealthRegistry::Serving(const std::string& service) const {
  const MutexLock lock(mutex_);
  const auto found = services_.find(service);
  return found == services_.end() ? std::nullopt : std::optional<bool>(found->second);
}

void HealthRegistry::Remove(const std::string& service) {
  {
    const MutexLock lock(mutex_);
    services_.erase(service);
  }
  changes_.Notify();
}

void HealthRegistry::Set(const std::string& service, bool serving) {
  {
    const MutexLock lock(mutex_);
    services_[service] = serving && !frozen_;
  }
  changes_.Notify();
}

void HealthRegistry::SetNotServing() {
  {
    const MutexLock lock(mutex_);
    for (auto& [service, serving] : services_) serving = false;
    frozen_ = true;
  }
  changes_.Notify();
}

}  // namespace predictd
