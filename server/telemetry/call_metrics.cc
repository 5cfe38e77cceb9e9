#include "server/telemetry/call_metrics.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "server/telemetry/log.h"

namespace predictd {
namespace {

constexpr std::array<absl::string_view, 17> kCodeNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

}  // namespace

absl::string_view CodeName(int code) {
  return code >= 0 && code < static_cast<int>(kCodeNames.size()) ? kCodeNames[code] : "UNKNOWN";
}

void CallSubject::Expect(const MethodMetrics& method) {
  SeriesOf(method);
}

void CallSubject::OnEnded(const MethodMetrics& method, int code, Duration took) {
  Series& series = SeriesOf(method);
  const auto index = static_cast<size_t>(code);
  Counter* const counter = series.ended[index].load(std::memory_order_acquire);
  (counter != nullptr ? *counter : CounterOf(method, series, index)).Increment();
  series.seconds->Observe(ToSeconds(took));
}

CallSubject::Series& CallSubject::SeriesOf(const MethodMetrics& method) {
  std::atomic<Series*>& place = series_[method.index_];
  if (Series* const found = place.load(std::memory_order_acquire)) return *found;
  const MutexLock lock(mutex_);
  if (Series* const found = place.load(std::memory_order_acquire)) return *found;
  auto series = std::make_unique<Series>();
  series->seconds = metrics_.seconds_.Share({method.name_, name_});
  owned_.push_back(std::move(series));
  place.store(owned_.back().get(), std::memory_order_release);
  return *owned_.back();
}

Counter& CallSubject::CounterOf(const MethodMetrics& method, Series& series, size_t code) {
  const MutexLock lock(mutex_);
  if (Counter* const found = series.ended[code].load(std::memory_order_acquire)) return *found;
  const absl::string_view code_name = CodeName(static_cast<int>(code));
  series.counters.push_back(
      metrics_.requests_.Share({method.name_, name_, std::string_view(code_name.data(), code_name.size())}));
  series.ended[code].store(series.counters.back().get(), std::memory_order_release);
  return *series.counters.back();
}

CallMetrics::CallMetrics(MetricsRegistry& registry)
    : requests_(registry.AddCounter("predictd_requests_total",
                                    "Calls that have ended, by method, model and status code.",
                                    {"method", "model", "code"})),
      seconds_(registry.AddHistogram("predictd_request_seconds", "Time from a call's arrival to its last byte.",
                                     ExponentialBounds(0.0001, 2, 18), {"method", "model"})),
      in_flight_(
          registry.AddGauge("predictd_requests_in_flight", "Calls that have arrived and not ended.", {"method"})),
      nothing_(std::make_shared<CallSubject>(*this, "")) {}

const MethodMetrics& CallMetrics::ForMethod(absl::string_view name) {
  const MutexLock lock(mutex_);
  const auto found = methods_.find(std::string_view(name.data(), name.size()));
  if (found != methods_.end()) return found->second;
  if (methods_.size() == CallSubject::kMaxMethods) {
    Log(LogLevel::kError, "there are more methods than their metrics have room for");
    std::abort();
  }
  std::string key(name);
  Gauge& in_flight = in_flight_.With({std::string_view(key)});
  MethodMetrics metrics(key, methods_.size(), in_flight);
  return methods_.try_emplace(std::move(key), std::move(metrics)).first->second;
}

}  // namespace predictd
