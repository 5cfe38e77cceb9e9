#ifndef PREDICTD_SERVER_RPC_HEALTH_REGISTRY_H_
#define PREDICTD_SERVER_RPC_HEALTH_REGISTRY_H_

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "server/async/change_signal.h"
#include "server/async/mutex.h"

namespace predictd {

// Which services are healthy: "" stands for the whole server, any other name for a model. Thread-safe.
class HealthRegistry {
 public:
  // nullopt if there is no such service.
  std::optional<bool> Serving(const std::string& service) const;

  // Tells of each change of a service.
  ChangeSignal& changes() { return changes_; }

  // After SetNotServing, every service that is set is NOT_SERVING.
  void Set(const std::string& service, bool serving);

  // Forgets a service: there is none of that name any more.
  void Remove(const std::string& service);

  // Makes every service NOT_SERVING from now on.
  void SetNotServing();

 private:
  ChangeSignal changes_;
  mutable Mutex mutex_;
  std::map<std::string, bool> services_ ABSL_GUARDED_BY(mutex_);
  bool frozen_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_HEALTH_REGISTRY_H_
