#include "server/rpc/rpc_metrics.h"

namespace predictd {

RpcMetrics::RpcMetrics(MetricsRegistry& registry)
    : calls_(registry),
      request_memory_(registry
                          .AddGauge("predictd_request_memory_bytes",
                                    "What calls hold of --request-memory: themselves, requests and answers.")
                          .With()),
      loop_lag_(registry
                    .AddHistogram("predictd_event_loop_lag_seconds",
                                  "How late a timer of an event loop fired: what a ready event had to wait.",
                                  ExponentialBounds(0.0001, 2, 15))
                    .With()),
      loop_busy_(registry
                     .AddHistogram("predictd_event_loop_busy_seconds",
                                   "How long an event loop handled a burst of events before it looked for new ones.",
                                   ExponentialBounds(0.00001, 2, 18))
                     .With()),
      connections_(registry) {}

void RpcMetrics::OnLag(Duration lag) {
  loop_lag_.Observe(ToSeconds(lag));
}

void RpcMetrics::OnBurst(Duration busy, int /*events*/) {
  loop_busy_.Observe(ToSeconds(busy));
}

}  // namespace predictd
