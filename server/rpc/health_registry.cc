#include "server/rpc/health_registry.h"

#include <utility>

namespace predictd {
namespace {

void ResumeIfFirst(ResumeOnce& waiter) {
  if (waiter.Claim()) waiter.Resume();
}

}  // namespace

HealthRegistry::Snapshot HealthRegistry::Read(const std::string& service) const {
  MutexLock lock(mutex_);
  Snapshot snapshot{.serving = std::nullopt, .changes = changes_};
  const auto found = services_.find(service);
  if (found != services_.end()) snapshot.serving = found->second;
  return snapshot;
}

void HealthRegistry::Remove(const std::string& service) {
  {
    MutexLock lock(mutex_);
    services_.erase(service);
    ++changes_;
  }
  Wake();
}

void HealthRegistry::Set(const std::string& service, bool serving) {
  {
    MutexLock lock(mutex_);
    services_[service] = serving && !frozen_;
    ++changes_;
  }
  Wake();
}

void HealthRegistry::SetNotServing() {
  {
    MutexLock lock(mutex_);
    for (auto& [service, serving] : services_) serving = false;
    frozen_ = true;
    ++changes_;
  }
  Wake();
}

void HealthRegistry::Wake() {
  std::unordered_set<std::shared_ptr<ResumeOnce>> watchers;
  {
    MutexLock lock(mutex_);
    watchers.swap(watchers_);
  }
  for (const auto& watcher : watchers) ResumeIfFirst(*watcher);
}

bool HealthRegistry::Change::await_suspend(std::coroutine_handle<> waiter) {
  // The copy outlives the awaiter, which is gone once another thread has resumed the coroutine.
  const std::shared_ptr<ResumeOnce> mine = waiter_;
  mine->Prepare(waiter);
  on_stop_.emplace(stop_, [this] {
    const std::shared_ptr<ResumeOnce> kept = waiter_;
    {
      MutexLock lock(registry_.mutex_);
      registry_.watchers_.erase(kept);
    }
    ResumeIfFirst(*kept);
  });
  bool missed = false;
  {
    MutexLock lock(registry_.mutex_);
    missed = registry_.changes_ != seen_;
    if (!missed && !mine->claimed()) registry_.watchers_.insert(mine);
  }
  if (missed) ResumeIfFirst(*mine);
  return mine->TrySuspend();
}

}  // namespace predictd
