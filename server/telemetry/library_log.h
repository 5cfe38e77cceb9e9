#ifndef PREDICTD_SERVER_TELEMETRY_LIBRARY_LOG_H_
#define PREDICTD_SERVER_TELEMETRY_LIBRARY_LOG_H_

#include <chrono>
#include <cstdint>
#include <string_view>

#include "server/telemetry/log.h"
#include "server/telemetry/log_limiter.h"

namespace predictd {

// Turns what a library reports into records of our log: a few a minute, because callers can provoke such reports at
// will. Any thread may use it.
class LibraryLog {
 public:
  // `library` must live as long as this object.
  explicit LibraryLog(std::string_view library, uint64_t per_minute = 10)
      : library_(library), limiter_(per_minute, std::chrono::minutes(1)) {}

  // Never throws.
  void Report(LogLevel level, std::string_view message, std::string_view detail) noexcept;

 private:
  const std::string_view library_;
  LogLimiter limiter_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LIBRARY_LOG_H_
