#ifndef PREDICTD_SERVER_LOAD_REPORT_H_
#define PREDICTD_SERVER_LOAD_REPORT_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/model/repository.h"
#include "server/rpc/health_registry.h"
#include "server/serving/catalog.h"
#include "server/serving/loader.h"
#include "server/serving/model_manager.h"
#include "server/serving/ready_condition.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// Logs what is wrong with the folders of a repository.
void LogRepository(const std::string& path, const ModelRepository& repository);

// Reports in health, log and metrics what becomes of the models. The references outlive it. Used by one thread at
// a time.
class LoadReport final : public ModelObserver {
 public:
  // `ready` says when the server as a whole is healthy; `ready_text` is what the operator wrote for that.
  LoadReport(const Catalog& catalog, ReadyCondition ready, std::string ready_text, HealthRegistry& health,
             MetricsRegistry& metrics);

  void OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings) override;
  void OnChanged(const ServedModel& model) override;
  void OnRetired(const ServedVersion& version) override;
  void OnUnloaded(const ServedModel& model) override;
  void OnWaking(const ServedModel& model) override;
  void OnTraffic(const ServedModel& model, const std::string& why) override;
  void OnRemoved(const std::string& model) override;
  void OnRepository(const absl::Status& status) override;

 private:
  void Count(const std::string& model, const char* result);
  // Returns true once, when everything that was there at the start has been loaded or has failed.
  bool SetHealth(const CatalogSnapshot& models);
  void LogEnd(const CatalogSnapshot& models) const;

  const Catalog& catalog_;
  const ReadyCondition ready_;
  const std::string ready_text_;
  HealthRegistry& health_;
  MetricFamily<Counter>& loads_;
  MetricFamily<Counter>& rollbacks_;
  // Their series, until the model is removed.
  std::map<std::string, std::map<std::string, std::shared_ptr<Counter>>> counters_;
  bool serving_ = false;
  bool started_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_LOAD_REPORT_H_
