#ifndef PREDICTD_SERVER_RPC_RPC_METRICS_H_
#define PREDICTD_SERVER_RPC_RPC_METRICS_H_

#include <array>
#include <atomic>
#include <string>

#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/rpc/connection_metrics.h"
#include "server/rpc/event_loop.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// What calls and event loops report to Prometheus. Thread-safe; no locks on the way of a call.
class RpcMetrics final : public LoopObserver {
 public:
  explicit RpcMetrics(MetricsRegistry& registry);

  // One method of one model, or of none. Most codes never occur, so a counter is made when its code first does: models
  // x methods x codes would soon be more than a scrape should have.
  class Series {
   public:
    Series(RpcMetrics& metrics, absl::string_view method, absl::string_view model);

    // Takes a lock once for each code.
    Counter& ended(int code) const;
    Histogram& seconds() const { return seconds_; }

   private:
    MetricFamily<Counter>& requests_;
    const std::string method_;
    const std::string model_;
    Histogram& seconds_;
    // By code; null until it has occurred.
    mutable std::array<std::atomic<Counter*>, 17> ended_{};
  };

  Gauge& InFlight(absl::string_view method);
  // What callers make the server hold, in bytes.
  Gauge& request_memory() const { return request_memory_; }
  ConnectionMetrics& connections() { return connections_; }

  void OnLag(Duration lag) override;
  void OnBurst(Duration busy, int events) override;

 private:
  MetricFamily<Counter>& requests_;
  MetricFamily<Histogram>& seconds_;
  MetricFamily<Gauge>& in_flight_;
  Gauge& request_memory_;
  Histogram& loop_lag_;
  Histogram& loop_busy_;
  ConnectionMetrics connections_;
};

// "DEADLINE_EXCEEDED", by grpc::StatusCode.
absl::string_view CodeName(int code);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_RPC_METRICS_H_
