#include "server/telemetry/metric_family.h"

#include <prometheus/metric_family.h>

#include <cstdlib>
#include <limits>
#include <type_traits>
#include <utility>

#include "server/telemetry/log.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

constexpr size_t kMaxLabelValue = 256;
constexpr std::string_view kOther = "_other";

// Replaces line breaks in a label value, because they would end the sample's line in the text format.
std::string CleanLabelValue(std::string_view value) {
  std::string clean = ToUtf8(value, kMaxLabelValue);
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return clean;
}

void Fill(const Counter& metric, prometheus::ClientMetric& out) {
  out.counter.value = static_cast<double>(metric.value());
}

void Fill(const Gauge& metric, prometheus::ClientMetric& out) {
  out.gauge.value = metric.value();
}

void Fill(const Histogram& metric, prometheus::ClientMetric& out) {
  const Histogram::Snapshot snapshot = metric.Read();
  uint64_t cumulative = 0;
  for (size_t i = 0; i < snapshot.counts.size(); ++i) {
    cumulative += snapshot.counts[i];
    const bool last = i == metric.bounds().size();
    const double bound = last ? std::numeric_limits<double>::infinity() : metric.bounds()[i];
    out.histogram.bucket.push_back({.cumulative_count = cumulative, .upper_bound = bound});
  }
  out.histogram.sample_count = cumulative;
  out.histogram.sample_sum = snapshot.sum;
}

template <typename T>
constexpr prometheus::MetricType kType = std::is_same_v<T, Counter> ? prometheus::MetricType::Counter
                                         : std::is_same_v<T, Gauge> ? prometheus::MetricType::Gauge
                                                                    : prometheus::MetricType::Histogram;

}  // namespace

template <typename T>
MetricFamily<T>::MetricFamily(std::string name, std::string help, std::vector<std::string> label_names,
                              std::vector<double> bounds)
    : MetricFamilyBase(std::move(name), std::move(help), std::move(label_names)), bounds_(std::move(bounds)) {}

template <typename T>
typename MetricFamily<T>::Metrics::iterator MetricFamily<T>::Use(absl::Span<const std::string_view> label_values) {
  if (label_values.size() != label_names_.size()) {
    Log(LogLevel::kError, "a metric was asked for with the wrong number of labels",
        {{"metric", name_}, {"expected", label_names_.size()}, {"got", label_values.size()}});
    std::abort();
  }
  std::vector<std::string> key;
  for (const std::string_view value : label_values) key.push_back(CleanLabelValue(value));
  if (!metrics_.contains(key) && metrics_.size() >= kMaxMetrics) key.assign(key.size(), std::string(kOther));
  auto found = metrics_.find(key);
  if (found == metrics_.end()) {
    // Made first: if there is no memory for it, a scrape must not find an entry without a metric.
    std::unique_ptr<T> metric;
    if constexpr (std::is_same_v<T, Histogram>) {
      metric = std::make_unique<T>(bounds_);
    } else {
      metric = std::make_unique<T>();
    }
    found = metrics_.try_emplace(std::move(key), Series{std::move(metric)}).first;
  }
  ++found->second.users;
  return found;
}

template <typename T>
void MetricFamily<T>::LetGo(typename Metrics::iterator series) noexcept {
  MutexLock lock(mutex_);
  if (--series->second.users == 0) metrics_.erase(series);
}

template <typename T>
T& MetricFamily<T>::With(absl::Span<const std::string_view> label_values) {
  MutexLock lock(mutex_);
  return *Use(label_values)->second.metric;
}

template <typename T>
std::shared_ptr<T> MetricFamily<T>::Share(absl::Span<const std::string_view> label_values) {
  typename Metrics::iterator series;
  T* metric = nullptr;
  {
    MutexLock lock(mutex_);
    series = Use(label_values);
    metric = series->second.metric.get();
  }
  return std::shared_ptr<T>(metric, [this, series](T*) { LetGo(series); });
}

template <typename T>
void MetricFamily<T>::Collect(prometheus::MetricFamily& out) const {
  out.name = name_;
  out.help = help_;
  out.type = kType<T>;
  MutexLock lock(mutex_);
  for (const auto& [label_values, series] : metrics_) {
    prometheus::ClientMetric& sample = out.metric.emplace_back();
    for (size_t i = 0; i < label_values.size(); ++i) sample.label.push_back({label_names_[i], label_values[i]});
    Fill(*series.metric, sample);
  }
}

void CounterFunctions::Collect(prometheus::MetricFamily& out) const {
  out.name = name_;
  out.help = help_;
  out.type = prometheus::MetricType::Counter;
  for (const Series& series : series_) {
    prometheus::ClientMetric& sample = out.metric.emplace_back();
    for (size_t i = 0; i < label_names_.size(); ++i) sample.label.push_back({label_names_[i], series.label_values[i]});
    sample.counter.value = static_cast<double>(series.read());
  }
}

template class MetricFamily<Counter>;
template class MetricFamily<Gauge>;
template class MetricFamily<Histogram>;

}  // namespace predictd
