#ifndef PREDICTD_SERVER_SERVING_RUNNER_METRICS_H_
#define PREDICTD_SERVER_SERVING_RUNNER_METRICS_H_

#include <memory>
#include <string>

#include "server/engine/model_runner.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// What model runners report to Prometheus. Thread-safe.
class RunnerMetrics {
 public:
  explicit RunnerMetrics(MetricsRegistry& registry);

  // The observer of one version. Its series end with it. Any thread may call it.
  std::shared_ptr<RunnerObserver> ForVersion(const std::string& model, int64_t version);

 private:
  class Version;

  MetricFamily<Gauge>& queued_;
  MetricFamily<Gauge>& running_;
  MetricFamily<Histogram>& queue_seconds_;
  MetricFamily<Histogram>& compute_seconds_;
  MetricFamily<Histogram>& batch_rows_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_RUNNER_METRICS_H_
