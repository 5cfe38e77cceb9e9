#ifndef PREDICTD_SERVER_ENGINE_LOOP_GATE_H_
#define PREDICTD_SERVER_ENGINE_LOOP_GATE_H_

#include <atomic>
#include <limits>
#include <optional>

#include "server/async/clock.h"

namespace predictd {

// Whether a model's batches may run on an event loop, which nothing may hold for longer than a bound.
//
// Shut until the warm-up has measured the largest batch, at the largest shapes that the signature allows, within the
// bound. Shut for good once a run that worked took far longer: what a thread computed counts for that, not how long it
// was kept from computing. A run that failed says nothing of those that work, but saying why it failed takes time, and
// callers can repeat it: so it shuts the gate for a while. Thread-safe without locks.
class LoopGate {
 public:
  // A run that takes so many times the bound shuts the gate.
  static constexpr int kFarLonger = 4;
  // For so long a failed run shuts it.
  static constexpr Duration kRestAfterFailure = std::chrono::seconds(10);

  // 0: it never opens.
  explicit LoopGate(Duration bound) : bound_(bound) {}

  // Whether a batch may run now. Looks at the clock only if the gate is open and a run has ever failed.
  bool MayRun(const Clock& clock) const;

  // What the largest batch took on one more thread of those that run the model; nullopt if that is not known.
  void OnWarmedUp(std::optional<Duration> largest);

  // Whether runs are to be timed by what their thread computed. Only after one took long by the clock: asking for a
  // thread's time costs more than looking at the clock.
  bool watches() const { return watches_.load(std::memory_order_relaxed); }
  // A batch that worked took so long by the clock and, if it was timed so, of its thread's time.
  void OnRun(Duration took, std::optional<Duration> thread_time);
  void OnFailure(TimePoint now);

 private:
  static constexpr Duration::rep kNeverFailed = std::numeric_limits<Duration::rep>::min();

  enum class State { kUnknown, kOpen, kShut };

  const Duration bound_;
  std::atomic<State> state_{State::kUnknown};
  std::atomic<bool> watches_{false};
  // Since the epoch of the clock.
  std::atomic<Duration::rep> rests_until_{kNeverFailed};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_LOOP_GATE_H_
