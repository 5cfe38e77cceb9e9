#ifndef PREDICTD_SERVER_TELEMETRY_LOG_LIMITER_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_LIMITER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace predictd {

// Lets the first `burst` of every `period` through, for events that a fault or a caller could repeat without end.
// Lock-free, for any thread.
class LogLimiter {
 public:
  LogLimiter(uint64_t burst, std::chrono::nanoseconds period) : burst_(burst), period_(period) {}

  // Returns how many were held back since the last one that was let through, or nullopt if this one is to be held back
  // as well.
  std::optional<uint64_t> Admit(std::chrono::steady_clock::time_point now) {
    const int64_t now_ns = std::chrono::nanoseconds(now.time_since_epoch()).count();
    int64_t period_end = period_end_ns_.load(std::memory_order_relaxed);
    if (now_ns >= period_end && period_end_ns_.compare_exchange_strong(period_end, now_ns + period_.count())) {
      used_.store(0, std::memory_order_relaxed);
    }
    if (used_.fetch_add(1, std::memory_order_relaxed) < burst_) return held_back_.exchange(0);
    held_back_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }

 private:
  const uint64_t burst_;
  const std::chrono::nanoseconds period_;
  std::atomic<int64_t> period_end_ns_{0};
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> held_back_{0};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_LIMITER_H_
