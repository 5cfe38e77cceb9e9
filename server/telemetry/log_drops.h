#ifndef PREDICTD_SERVER_TELEMETRY_LOG_DROPS_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_DROPS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "server/telemetry/log.h"

namespace predictd {

// Counts the lines that were never written, by reason and level. Lock-free, for any thread.
class LogDrops {
 public:
  void Add(LogDrop reason, LogLevel level, uint64_t count = 1) {
    Count(reason, level).fetch_add(count, std::memory_order_relaxed);
  }
  uint64_t Get(LogDrop reason, LogLevel level) const {
    return counts_[static_cast<size_t>(reason)][static_cast<size_t>(level)].load(std::memory_order_relaxed);
  }
  // The count of all levels.
  uint64_t Get(LogDrop reason) const {
    uint64_t sum = 0;
    for (size_t level = 0; level < kLogLevels; ++level) sum += Get(reason, static_cast<LogLevel>(level));
    return sum;
  }

 private:
  std::atomic<uint64_t>& Count(LogDrop reason, LogLevel level) {
    return counts_[static_cast<size_t>(reason)][static_cast<size_t>(level)];
  }

  std::array<std::array<std::atomic<uint64_t>, kLogLevels>, kLogDrops> counts_{};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_DROPS_H_
