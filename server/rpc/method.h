#ifndef PREDICTD_SERVER_RPC_METHOD_H_
#define PREDICTD_SERVER_RPC_METHOD_H_

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/engine/catalog.h"
#include "server/rpc/rpc_metrics.h"

namespace predictd {

// A method of a service: its names, and its metrics for each model. Immutable, thread-safe.
class Method {
 public:
  Method(std::string service, std::string name, bool endless, RpcMetrics& metrics, const Catalog& catalog)
      : service_(std::move(service)), name_(std::move(name)), endless_(endless), in_flight_(metrics.InFlight(name_)) {
    series_[nullptr] = std::make_shared<const RpcMetrics::Series>(metrics, name_, "");
    for (const auto& [model_name, model] : catalog.models()) {
      series_[&model] = std::make_shared<const RpcMetrics::Series>(metrics, name_, model_name);
    }
  }

  const std::string& service() const { return service_; }
  const std::string& name() const { return name_; }
  // Calls last until somebody ends them: a server that drains does not wait for them.
  bool endless() const { return endless_; }
  Gauge& in_flight() const { return in_flight_; }
  // Null: a call that named no known model.
  const RpcMetrics::Series& series(const ServedModel* model) const { return *series_.at(model); }

 private:
  const std::string service_;
  const std::string name_;
  const bool endless_;
  Gauge& in_flight_;
  std::map<const ServedModel*, std::shared_ptr<const RpcMetrics::Series>> series_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_METHOD_H_
