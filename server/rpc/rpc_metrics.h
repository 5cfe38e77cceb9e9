#ifndef PREDICTD_SERVER_RPC_RPC_METRICS_H_
#define PREDICTD_SERVER_RPC_RPC_METRICS_H_

#include "server/async/clock.h"
#include "server/rpc/connection_metrics.h"
#include "server/rpc/event_loop.h"
#include "server/telemetry/call_metrics.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// The Prometheus metrics of calls and event loops. Thread-safe.
class RpcMetrics final : public LoopObserver {
 public:
  explicit RpcMetrics(MetricsRegistry& registry);

  CallMetrics& calls() { return calls_; }
  // How many bytes callers make the server hold.
  Gauge& request_memory() const { return request_memory_; }
  ConnectionMetrics& connections() { return connections_; }

  void OnLag(Duration lag) override;
  void OnBurst(Duration busy, int events) override;

 private:
  CallMetrics calls_;
  Gauge& request_memory_;
  Histogram& loop_lag_;
  Histogram& loop_busy_;
  ConnectionMetrics connections_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_RPC_METRICS_H_
