#include "server/telemetry/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

[[noreturn]] void Fail(std::string_view problem, std::string_view metric) {
  Log(LogLevel::kError, problem, {{"metric", metric}});
  ShutdownLogging();
  std::abort();
}

bool IsIdentifier(std::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

void Validate(std::string_view name, std::string_view help, const std::vector<std::string>& label_names,
              const std::vector<double>& bounds) {
  if (!IsIdentifier(name)) Fail("a metric's name is malformed", name);
  if (help.find_first_of("\\\n") != std::string_view::npos) Fail("a metric's help has a line break or backslash", name);
  for (const std::string& label : label_names) {
    if (!IsIdentifier(label) || label.starts_with("__") || label == "le") Fail("a metric's label is malformed", name);
  }
  const bool finite = std::all_of(bounds.begin(), bounds.end(), [](double bound) { return std::isfinite(bound); });
  const bool ascending = std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end();
  if (!finite || !ascending) Fail("a histogram's bounds are not finite and ascending", name);
}

}  // namespace

MetricsRegistry::MetricsRegistry() = default;
MetricsRegistry::~MetricsRegistry() = default;

MetricFamily<Counter>& MetricsRegistry::AddCounter(std::string name, std::string help,
                                                   std::vector<std::string> label_names) {
  return Add<Counter>(std::move(name), std::move(help), std::move(label_names), {});
}

MetricFamily<Gauge>& MetricsRegistry::AddGauge(std::string name, std::string help,
                                               std::vector<std::string> label_names) {
  return Add<Gauge>(std::move(name), std::move(help), std::move(label_names), {});
}

MetricFamily<Histogram>& MetricsRegistry::AddHistogram(std::string name, std::string help, std::vector<double> bounds,
                                                       std::vector<std::string> label_names) {
  return Add<Histogram>(std::move(name), std::move(help), std::move(label_names), std::move(bounds));
}

template <typename T>
MetricFamily<T>& MetricsRegistry::Add(std::string name, std::string help, std::vector<std::string> label_names,
                                      std::vector<double> bounds) {
  Validate(name, help, label_names, bounds);
  auto family =
      std::make_unique<MetricFamily<T>>(std::move(name), std::move(help), std::move(label_names), std::move(bounds));
  MetricFamily<T>& result = *family;
  Insert(std::move(family));
  return result;
}

void MetricsRegistry::AddCounterFunctions(std::string name, std::string help, std::vector<std::string> label_names,
                                          std::vector<CounterFunctions::Series> series) {
  Validate(name, help, label_names, {});
  for (const CounterFunctions::Series& one : series) {
    if (one.label_values.size() != label_names.size()) Fail("a metric has the wrong number of labels", name);
  }
  Insert(
      std::make_unique<CounterFunctions>(std::move(name), std::move(help), std::move(label_names), std::move(series)));
}

void MetricsRegistry::Insert(std::unique_ptr<MetricFamilyBase> family) {
  MutexLock lock(mutex_);
  for (const std::unique_ptr<MetricFamilyBase>& taken : families_) {
    if (taken->name() == family->name()) Fail("a metric's name is taken", family->name());
  }
  families_.push_back(std::move(family));
}

std::vector<prometheus::MetricFamily> MetricsRegistry::Collect() const {
  MutexLock lock(mutex_);
  std::vector<prometheus::MetricFamily> collected(families_.size());
  for (size_t i = 0; i < families_.size(); ++i) families_[i]->Collect(collected[i]);
  return collected;
}

std::string MetricsRegistry::ExpositionText() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, Collect());
  return out.str();
}

}  // namespace predictd
