#ifndef PREDICTD_SERVER_TELEMETRY_METRICS_H_
#define PREDICTD_SERVER_TELEMETRY_METRICS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/telemetry/metric.h"
#include "server/telemetry/metric_family.h"

namespace predictd {

// All metrics of the server. Owned by the composition root, which destroys it after everything that holds a metric. Any
// thread may use it. Names follow Prometheus' conventions (predictd_requests_total, predictd_queue_seconds). A name
// that is taken, and a name, label or bounds that are malformed, are errors in the program: they are logged, and the
// process aborts.
class MetricsRegistry {
 public:
  MetricsRegistry();
  ~MetricsRegistry();

  // Families live as long as the registry.
  MetricFamily<Counter>& AddCounter(std::string name, std::string help, std::vector<std::string> label_names = {});
  MetricFamily<Gauge>& AddGauge(std::string name, std::string help, std::vector<std::string> label_names = {});
  MetricFamily<Histogram>& AddHistogram(std::string name, std::string help, std::vector<double> bounds,
                                        std::vector<std::string> label_names = {});

  // Each series has a value for each label. What the functions read must exist as long as anybody collects, and any
  // thread may call them.
  void AddCounterFunctions(std::string name, std::string help, std::vector<std::string> label_names,
                           std::vector<CounterFunctions::Series> series);

  // Returns one collected family for each family, in the order in which they were added.
  std::vector<prometheus::MetricFamily> Collect() const;

  // The text that answers a scrape of /metrics.
  std::string ExpositionText() const;

 private:
  template <typename T>
  MetricFamily<T>& Add(std::string name, std::string help, std::vector<std::string> label_names,
                       std::vector<double> bounds);

  void Insert(std::unique_ptr<MetricFamilyBase> family);

  mutable Mutex mutex_;
  std::vector<std::unique_ptr<MetricFamilyBase>> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_METRICS_H_
