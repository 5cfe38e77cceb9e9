#ifndef PREDICTD_SERVER_TELEMETRY_CALL_METRICS_H_
#define PREDICTD_SERVER_TELEMETRY_CALL_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/telemetry/metrics.h"

namespace predictd {

class CallMetrics;

// One method, as the metrics of calls see it. Immutable.
class MethodMetrics {
 public:
  MethodMetrics(std::string name, size_t index, Gauge& in_flight)
      : name_(std::move(name)), index_(index), in_flight_(in_flight) {}

  const std::string& name() const { return name_; }
  Gauge& in_flight() const { return in_flight_; }

 private:
  friend class CallSubject;
  const std::string name_;
  // Its place among the methods.
  const size_t index_;
  Gauge& in_flight_;
};

// What calls are about, such as a model: its name in metrics, logs and spans, and the series of its calls. They end
// with it. A method's histogram is made when its first call ends, and a counter when its code first occurs, because
// models x methods x codes would soon be more than a scrape should have. Thread-safe, and without a lock once a series
// exists.
class CallSubject {
 public:
  // `metrics` outlives it. The name is empty for calls that are about nothing that exists.
  CallSubject(CallMetrics& metrics, std::string name) : metrics_(metrics), name_(std::move(name)) {}
  CallSubject(const CallSubject&) = delete;
  CallSubject& operator=(const CallSubject&) = delete;

  const std::string& name() const { return name_; }

  // Makes the histogram of a method before its first call, so that a rate over time counts that call.
  void Expect(const MethodMetrics& method);
  // `code` is a grpc::StatusCode.
  void OnEnded(const MethodMetrics& method, int code, Duration took);

 private:
  friend class CallMetrics;
  static constexpr size_t kCodes = 17;
  static constexpr size_t kMaxMethods = 64;

  struct Series {
    std::shared_ptr<Histogram> seconds;
    // Null until the code has occurred; `counters` owns them.
    std::array<std::atomic<Counter*>, kCodes> ended{};
    std::vector<std::shared_ptr<Counter>> counters;
  };

  Series& SeriesOf(const MethodMetrics& method);
  Counter& CounterOf(const MethodMetrics& method, Series& series, size_t code);

  CallMetrics& metrics_;
  const std::string name_;
  // By the index of the method; null until a call of it has ended.
  std::array<std::atomic<Series*>, kMaxMethods> series_{};
  Mutex mutex_;
  std::vector<std::unique_ptr<Series>> owned_ ABSL_GUARDED_BY(mutex_);
};

// The Prometheus metrics of calls, by method and by what they are about. Thread-safe.
class CallMetrics {
 public:
  explicit CallMetrics(MetricsRegistry& registry);

  // Returns the same object for the same name; it lives as long as this one. There may be at most 64 methods.
  const MethodMetrics& ForMethod(absl::string_view name);
  // The subject of calls that are about nothing that exists.
  const std::shared_ptr<CallSubject>& nothing() const { return nothing_; }

 private:
  friend class CallSubject;
  MetricFamily<Counter>& requests_;
  MetricFamily<Histogram>& seconds_;
  MetricFamily<Gauge>& in_flight_;
  const std::shared_ptr<CallSubject> nothing_;
  Mutex mutex_;
  std::map<std::string, MethodMetrics, std::less<>> methods_ ABSL_GUARDED_BY(mutex_);
};

// The name of a grpc::StatusCode, such as "DEADLINE_EXCEEDED".
absl::string_view CodeName(int code);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_CALL_METRICS_H_
