#ifndef PREDICTD_SERVER_SERVING_GENERATOR_METRICS_H_
#define PREDICTD_SERVER_SERVING_GENERATOR_METRICS_H_

#include <memory>
#include <string>

#include "server/generation/generator.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// What generators report to Prometheus, under OpenTelemetry's names (gen_ai.server.*) where there are any. Thread-safe.
class GeneratorMetrics {
 public:
  explicit GeneratorMetrics(MetricsRegistry& registry);

  // The observer of one version. Its series end with it. Any thread may call it.
  std::shared_ptr<GeneratorObserver> ForVersion(const std::string& model, int64_t version);

 private:
  class Version;

  MetricFamily<Gauge>& waiting_;
  MetricFamily<Gauge>& slots_;
  MetricFamily<Gauge>& cached_tokens_;
  MetricFamily<Histogram>& first_token_seconds_;
  MetricFamily<Histogram>& next_token_seconds_;
  MetricFamily<Histogram>& step_seconds_;
  MetricFamily<Histogram>& step_sequences_;
  MetricFamily<Counter>& prompt_tokens_;
  MetricFamily<Counter>& reused_tokens_;
  MetricFamily<Counter>& generated_tokens_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_GENERATOR_METRICS_H_
