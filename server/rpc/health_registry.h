#ifndef PREDICTD_SERVER_RPC_HEALTH_REGISTRY_H_
#define PREDICTD_SERVER_RPC_HEALTH_REGISTRY_H_

#include <coroutine>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "server/async/mutex.h"
#include "server/async/resume_once.h"
#include "server/async/stop.h"

namespace predictd {

// Which services are healthy: "" stands for the whole server, any other name for a model. Thread-safe.
class HealthRegistry {
 public:
  class Change;

  struct Snapshot {
    // nullopt if there is no such service.
    std::optional<bool> serving;
    uint64_t changes = 0;
  };
  Snapshot Read(const std::string& service) const;

  // After SetNotServing, every service that is set is NOT_SERVING.
  void Set(const std::string& service, bool serving);

  // Forgets a service: there is none of that name any more.
  void Remove(const std::string& service);

  // Makes every service NOT_SERVING from now on.
  void SetNotServing();

 private:
  void Wake();

  mutable Mutex mutex_;
  std::map<std::string, bool> services_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<std::shared_ptr<ResumeOnce>> watchers_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool frozen_ ABSL_GUARDED_BY(mutex_) = false;
};

// Awaits the next change of any service after `seen` (the `changes` of a Snapshot), or the stop. The coroutine
// continues on the thread that made the change or the stop.
class HealthRegistry::Change {
 public:
  Change(HealthRegistry& registry, uint64_t seen, StopSource& stop) : registry_(registry), seen_(seen), stop_(stop) {}
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter);
  void await_resume() const noexcept {}

 private:
  HealthRegistry& registry_;
  const uint64_t seen_;
  StopSource& stop_;
  std::shared_ptr<ResumeOnce> waiter_ = std::make_shared<ResumeOnce>();
  std::optional<StopCallback> on_stop_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_HEALTH_REGISTRY_H_
