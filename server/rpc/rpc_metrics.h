#ifndef PREDICTD_SERVER_RPC_RPC_METRICS_H_
#define PREDICTD_SERVER_RPC_RPC_METRICS_H_

#include <array>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/rpc/event_loop.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// What calls and event loops report to Prometheus. Thread-safe; no locks on the way of a call.
class RpcMetrics final : public LoopObserver {
 public:
  explicit RpcMetrics(MetricsRegistry& registry);

  // One method of one model, or of none.
  struct Series {
    std::array<Counter*, 17> ended_by_code;
    Histogram* seconds;
  };

  // Looked up once for each method and model, and kept. Takes a lock.
  Series MakeSeries(absl::string_view method, absl::string_view model);
  Gauge& InFlight(absl::string_view method);

  void OnLag(Duration lag) override;
  void OnBurst(Duration busy, int events) override;

 private:
  MetricFamily<Counter>& requests_;
  MetricFamily<Histogram>& seconds_;
  MetricFamily<Gauge>& in_flight_;
  Histogram& loop_lag_;
  Histogram& loop_busy_;
};

// "DEADLINE_EXCEEDED", by grpc::StatusCode.
absl::string_view CodeName(int code);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_RPC_METRICS_H_
