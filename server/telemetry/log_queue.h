#ifndef PREDICTD_SERVER_TELEMETRY_LOG_QUEUE_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_QUEUE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "server/telemetry/log.h"

namespace predictd {

// The lines that wait to be written, in order, up to a number and a total size. When there is no more room, the oldest
// of the least important lines leave, so that a flood of one level never costs a line of a higher one. Guarded by its
// owner.
class LogQueue {
 public:
  LogQueue(size_t max_lines, size_t max_bytes) : max_lines_(max_lines), max_bytes_(max_bytes) {}

  // Returns how many lines of each level had to leave. This line is among them if all that wait are more important.
  std::array<uint64_t, kLogLevels> Push(LogLevel level, std::string line);

  struct Entry {
    LogLevel level;
    std::string line;
  };
  // Takes the oldest line of any level.
  std::optional<Entry> Pop();

  bool empty() const { return lines_ == 0; }

 private:
  struct Waiting {
    uint64_t number;
    std::string line;
  };

  std::string TakeFront(size_t level);

  const size_t max_lines_;
  const size_t max_bytes_;
  std::array<std::deque<Waiting>, kLogLevels> by_level_;
  uint64_t next_number_ = 0;
  size_t lines_ = 0;
  size_t bytes_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_QUEUE_H_
