#include "server/telemetry/log_queue.h"

#include <utility>

namespace predictd {

std::array<uint64_t, kLogLevels> LogQueue::Push(LogLevel level, std::string line) {
  std::array<uint64_t, kLogLevels> left{};
  const auto own = static_cast<size_t>(level);
  const size_t size = line.size();
  by_level_[own].push_back({next_number_++, std::move(line)});
  bytes_ += size;
  ++lines_;
  for (size_t least = 0; lines_ > max_lines_ || bytes_ > max_bytes_;) {
    if (by_level_[least].empty()) {
      ++least;
      continue;
    }
    TakeFront(least);
    ++left[least];
  }
  return left;
}

std::optional<LogQueue::Entry> LogQueue::Pop() {
  std::optional<size_t> oldest;
  for (size_t level = 0; level < kLogLevels; ++level) {
    if (by_level_[level].empty()) continue;
    if (!oldest.has_value() || by_level_[level].front().number < by_level_[*oldest].front().number) oldest = level;
  }
  if (!oldest.has_value()) return std::nullopt;
  return Entry{static_cast<LogLevel>(*oldest), TakeFront(*oldest)};
}

std::string LogQueue::TakeFront(size_t level) {
  std::string line = std::move(by_level_[level].front().line);
  by_level_[level].pop_front();
  bytes_ -= line.size();
  --lines_;
  return line;
}

}  // namespace predictd
