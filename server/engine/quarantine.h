#ifndef PREDICTD_SERVER_ENGINE_QUARANTINE_H_
#define PREDICTD_SERVER_ENGINE_QUARANTINE_H_

#include <atomic>
#include <cstdint>
#include <unordered_map>

#include "server/async/clock.h"
#include "server/async/mutex.h"

namespace predictd {

// Whose requests are kept apart from others', because somebody sends what makes batches fail.
//
// A batch that fails is run again in parts to find who is to blame, which costs several runs, and whoever fails sends
// the next one at once. So after a failure there is an alarm for a while: meanwhile only callers whose requests have
// succeeded since it began are trusted, and the others share no batch with these. Who fails loses more trust than one
// success gives back. Without an alarm all are trusted and nobody is asked who he is. Thread-safe; never throws.
class Quarantine {
 public:
  // How long an alarm lasts after the last failure.
  static constexpr Duration kAlarm = std::chrono::seconds(10);
  // So many successes make up for one failure.
  static constexpr int kSuccessesForFailure = 16;
  // Of trust, so that neither is kept for ever.
  static constexpr int kMostTrust = 64;
  static constexpr int kLeastTrust = -64;
  // Callers that are remembered. Beyond that all have to begin anew.
  static constexpr size_t kCallers = 4096;

  bool alarm(TimePoint now) const { return now.time_since_epoch().count() < until_.load(std::memory_order_relaxed); }

  // During an alarm, whether that caller's requests are kept apart.
  bool KeepsApart(uint64_t caller) noexcept;

  // A request of that caller failed by itself; raises the alarm.
  void OnGuilty(uint64_t caller, TimePoint now) noexcept;
  // During an alarm: one succeeded.
  void OnInnocent(uint64_t caller) noexcept;

 private:
  void Change(uint64_t caller, int by) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Of the alarm, since the epoch.
  std::atomic<Duration::rep> until_{TimePoint::min().time_since_epoch().count()};
  Mutex mutex_;
  // Above 0: trusted.
  std::unordered_map<uint64_t, int> trust_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_QUARANTINE_H_
