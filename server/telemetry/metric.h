#ifndef PREDICTD_SERVER_TELEMETRY_METRIC_H_
#define PREDICTD_SERVER_TELEMETRY_METRIC_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace predictd {

// Each metric has its cache lines to itself, so that two hot ones never slow each other down.
inline constexpr size_t kMetricAlignment = 64;

// A count that only rises. Lock-free, for any thread.
class alignas(kMetricAlignment) Counter {
 public:
  void Increment(uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A value that rises and falls. Lock-free, for any thread.
class alignas(kMetricAlignment) Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  void Increment() { Add(1); }
  void Decrement() { Add(-1); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Counts observations in buckets with fixed bounds. Lock-free, for any thread.
class alignas(kMetricAlignment) Histogram {
 public:
  // What has been observed up to now. counts[i] counts the values v with bounds[i-1] < v <= bounds[i]; the last count,
  // which has no bound, counts the larger ones. The number of observations is by definition the sum of counts; `sum`
  // may lag behind it by the observations that are being made.
  struct Snapshot {
    std::vector<uint64_t> counts;
    double sum = 0;
  };

  // `bounds` are finite and ascend.
  explicit Histogram(std::vector<double> bounds);

  // Adds a value; NaN is ignored. Times are observed in seconds.
  void Observe(double value);

  Snapshot Read() const;
  const std::vector<double>& bounds() const { return bounds_; }

 private:
  const std::vector<double> bounds_;
  const std::unique_ptr<std::atomic<uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

// Returns `count` bounds: start, start * factor, start * factor^2, ...
std::vector<double> ExponentialBounds(double start, double factor, int count);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_METRIC_H_
