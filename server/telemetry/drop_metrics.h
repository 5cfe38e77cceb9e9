#ifndef PREDICTD_SERVER_TELEMETRY_DROP_METRICS_H_
#define PREDICTD_SERVER_TELEMETRY_DROP_METRICS_H_

#include "server/telemetry/metrics.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// What telemetry itself loses, for /metrics: lines of the log, and spans. The tracer lives as long as anybody scrapes.
void AddDropMetrics(MetricsRegistry& registry, const Tracer& tracer);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_DROP_METRICS_H_
