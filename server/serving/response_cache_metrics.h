#ifndef PREDICTD_SERVER_SERVING_RESPONSE_CACHE_METRICS_H_
#define PREDICTD_SERVER_SERVING_RESPONSE_CACHE_METRICS_H_

#include <memory>
#include <string>

#include "server/engine/response_cache.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// What response caches report to Prometheus. Thread-safe.
class ResponseCacheMetrics {
 public:
  explicit ResponseCacheMetrics(MetricsRegistry& registry);

  // The observer of one version. Its series end with it. Any thread may call it.
  std::shared_ptr<ResponseCacheObserver> ForVersion(const std::string& model, int64_t version);

 private:
  class Version;

  MetricFamily<Counter>& hits_;
  MetricFamily<Counter>& misses_;
  MetricFamily<Counter>& evictions_;
  MetricFamily<Gauge>& entries_;
  MetricFamily<Gauge>& bytes_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_RESPONSE_CACHE_METRICS_H_
