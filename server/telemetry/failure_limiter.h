#ifndef PREDICTD_SERVER_TELEMETRY_FAILURE_LIMITER_H_
#define PREDICTD_SERVER_TELEMETRY_FAILURE_LIMITER_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/telemetry/log.h"

namespace predictd {

// Decides which failures of requests get a record of their own: for each level, model and code the first few in a
// second. The others are counted, for one record later. Any thread may use it.
class FailureLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Beyond so many combinations, all others share one without names, so that values from outside cannot make the
  // process grow.
  static constexpr size_t kMaxPairs = 4096;

  struct HeldBack {
    LogLevel level = LogLevel::kInfo;
    std::string model;
    std::string code;
    uint64_t count = 0;
  };

  explicit FailureLimiter(uint64_t per_second) : per_second_(per_second) {}

  // Returns whether the failure gets a record; `level` is that of the record.
  bool Admit(LogLevel level, std::string_view model, std::string_view code, Time now);

  // Returns what was held back in seconds that are over at `now`. Each count is returned once.
  std::vector<HeldBack> Take(Time now);

 private:
  struct Second {
    Time end;
    uint64_t seen = 0;
    uint64_t held_back = 0;
  };

  const uint64_t per_second_;
  Mutex mutex_;
  std::map<std::tuple<LogLevel, std::string, std::string>, Second> seconds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_FAILURE_LIMITER_H_
