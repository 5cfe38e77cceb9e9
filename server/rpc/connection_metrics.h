#ifndef PREDICTD_SERVER_RPC_CONNECTION_METRICS_H_
#define PREDICTD_SERVER_RPC_CONNECTION_METRICS_H_

#include <string_view>

#include "server/telemetry/metrics.h"

namespace predictd {

// The metrics of connections. Thread-safe.
class ConnectionMetrics {
 public:
  explicit ConnectionMetrics(MetricsRegistry& registry)
      : open_(registry.AddGauge("predictd_connections", "Connections that are open.").With()),
        accepted_(registry.AddCounter("predictd_connections_total", "Connections that were accepted.").With()),
        held_back_(registry
                       .AddCounter("predictd_connections_held_back_total",
                                   "Times that a connection got no more data for a moment, because it held up others.")
                       .With()),
        refused_(registry.AddCounter("predictd_connections_refused_total",
                                     "Connections that were closed when they came, by the limit that was reached.",
                                     {"reason"})),
        closed_(registry.AddCounter("predictd_connections_closed_total", "Connections that have ended, by cause.",
                                    {"reason"})) {}

  Gauge& open() { return open_; }
  Counter& accepted() { return accepted_; }
  Counter& held_back() { return held_back_; }
  Counter& refused(std::string_view reason) { return refused_.With({reason}); }
  Counter& closed(std::string_view reason) { return closed_.With({reason}); }

 private:
  Gauge& open_;
  Counter& accepted_;
  Counter& held_back_;
  MetricFamily<Counter>& refused_;
  MetricFamily<Counter>& closed_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CONNECTION_METRICS_H_
