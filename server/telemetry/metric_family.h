#ifndef PREDICTD_SERVER_TELEMETRY_METRIC_FAMILY_H_
#define PREDICTD_SERVER_TELEMETRY_METRIC_FAMILY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/types/span.h"
#include "server/async/mutex.h"
#include "server/telemetry/metric.h"

namespace prometheus {
struct MetricFamily;
}  // namespace prometheus

namespace predictd {

// What families of all kinds share: the name, and how to collect them.
class MetricFamilyBase {
 public:
  MetricFamilyBase(std::string name, std::string help, std::vector<std::string> label_names)
      : name_(std::move(name)), help_(std::move(help)), label_names_(std::move(label_names)) {}
  virtual ~MetricFamilyBase() = default;
  MetricFamilyBase(const MetricFamilyBase&) = delete;
  MetricFamilyBase& operator=(const MetricFamilyBase&) = delete;

  virtual void Collect(prometheus::MetricFamily& out) const = 0;

  const std::string& name() const { return name_; }

 protected:
  const std::string name_;
  const std::string help_;
  const std::vector<std::string> label_names_;
};

// Counters that something else counts, and that are asked for it at each scrape.
class CounterFunctions final : public MetricFamilyBase {
 public:
  struct Series {
    std::vector<std::string> label_values;
    std::function<uint64_t()> read;
  };

  CounterFunctions(std::string name, std::string help, std::vector<std::string> label_names, std::vector<Series> series)
      : MetricFamilyBase(std::move(name), std::move(help), std::move(label_names)), series_(std::move(series)) {}

  void Collect(prometheus::MetricFamily& out) const override;

 private:
  const std::vector<Series> series_;
};

// The metrics of one name, told apart by their labels' values. Owned by a MetricsRegistry. T is Counter, Gauge or
// Histogram.
template <typename T>
class MetricFamily final : public MetricFamilyBase {
 public:
  // Beyond so many label values, all further ones share one metric whose labels read "_other": values that come from
  // outside cannot grow the process.
  static constexpr size_t kMaxMetrics = 1000;

  // `bounds` are for histograms only.
  MetricFamily(std::string name, std::string help, std::vector<std::string> label_names, std::vector<double> bounds);

  // The metric with these label values, in the order of the label names; made at the first call. Takes a lock: look a
  // metric up once and keep the reference, which is valid as long as the registry. Any thread.
  T& With(absl::Span<const std::string_view> label_values = {});

  void Collect(prometheus::MetricFamily& out) const override;

 private:
  const std::vector<double> bounds_;
  mutable Mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<T>> metrics_ ABSL_GUARDED_BY(mutex_);
};

extern template class MetricFamily<Counter>;
extern template class MetricFamily<Gauge>;
extern template class MetricFamily<Histogram>;

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_METRIC_FAMILY_H_
