#ifndef PREDICTD_SERVER_TELEMETRY_DROP_METRICS_H_
#define PREDICTD_SERVER_TELEMETRY_DROP_METRICS_H_

#include "server/telemetry/metrics.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// Adds metrics of what telemetry itself loses: log lines and spans. The tracer must live as long as the metrics are
// scraped.
void AddDropMetrics(MetricsRegistry& registry, const Tracer& tracer);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_DROP_METRICS_H_
