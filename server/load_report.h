#ifndef PREDICTD_SERVER_LOAD_REPORT_H_
#define PREDICTD_SERVER_LOAD_REPORT_H_

#include <string>

#include "absl/status/status.h"
#include "server/model/repository.h"
#include "server/rpc/health_registry.h"
#include "server/serving/catalog.h"
#include "server/serving/loader.h"
#include "server/serving/ready_condition.h"

namespace predictd {

// Logs what is wrong with the folders of a repository.
void LogRepository(const std::string& path, const ModelRepository& repository);

// Reports in health and log how far the loading of the models is. The catalog and the registry outlive it. Used by one
// thread at a time.
class LoadReport {
 public:
  // `ready` says when the server as a whole is healthy; `ready_text` is what the operator wrote for that.
  LoadReport(const Catalog& catalog, ReadyCondition ready, std::string ready_text, HealthRegistry& health);

  // Called as the loader's observer.
  void OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings);

 private:
  void SetHealth(const CatalogSnapshot& models);
  void LogEnd(const CatalogSnapshot& models) const;

  const Catalog& catalog_;
  const ReadyCondition ready_;
  const std::string ready_text_;
  HealthRegistry& health_;
  bool serving_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_LOAD_REPORT_H_
