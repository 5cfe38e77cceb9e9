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

// What families of all kinds have in common: the name, and how to collect them.
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

// Counters that something else keeps; it is asked for their values at each scrape.
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

// The metrics of one name, told apart by the values of their labels. Owned by a MetricsRegistry. T is Counter, Gauge or
// Histogram.
template <typename T>
class MetricFamily final : public MetricFamilyBase {
 public:
  // Beyond so many combinations of label values, all further ones share one metric whose labels read "_other", so that
  // values from outside cannot make the process grow.
  static constexpr size_t kMaxMetrics = 1000;

  // `bounds` is for histograms only.
  MetricFamily(std::string name, std::string help, std::vector<std::string> label_names, std::vector<double> bounds);

  // Return the metric with these label values, which are in the order of the label names; it is made at the first
  // call. This takes a lock, so look a metric up once and keep what is returned. Any thread may call them.
  //
  // A metric from With exists as long as the registry. One from Share only does so until all that share it have let it
  // go: then its series ends, and begins at zero should it be shared again. The registry outlives all shares.
  T& With(absl::Span<const std::string_view> label_values = {});
  std::shared_ptr<T> Share(absl::Span<const std::string_view> label_values);

  void Collect(prometheus::MetricFamily& out) const override;

 private:
  struct Series {
    std::unique_ptr<T> metric;
    // How many have it from Share; With adds one that never lets go.
    int64_t users = 0;
  };
  using Metrics = std::map<std::vector<std::string>, Series>;

  // Counts one more user.
  typename Metrics::iterator Use(absl::Span<const std::string_view> label_values) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LetGo(typename Metrics::iterator series) noexcept;

  const std::vector<double> bounds_;
  mutable Mutex mutex_;
  Metrics metrics_ ABSL_GUARDED_BY(mutex_);
};

extern template class MetricFamily<Counter>;
extern template class MetricFamily<Gauge>;
extern template class MetricFamily<Histogram>;

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_METRIC_FAMILY_H_
