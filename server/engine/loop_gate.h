#ifndef PREDICTD_SERVER_ENGINE_LOOP_GATE_H_
#define PREDICTD_SERVER_ENGINE_LOOP_GATE_H_

#include <atomic>
#include <limits>
#include <optional>

#include "server/async/clock.h"

namespace predictd {

// Whether a model's batches may run on an event loop, which nothing may block for longer than a bound.
//
// The gate is shut until the warm-up has measured that the largest batch, at the largest shapes that the signature
// allows, stays within the bound. It shuts for good once a successful run took far longer; what counts for that is the
// thread's computing time, not how long the thread was kept from computing. A failed run says nothing about the cost of
// successful ones, but it takes time to report why it failed, and callers can repeat it: so it shuts the gate for a
// while. Thread-safe without locks.
class LoopGate {
 public:
  // A run that takes this many times the bound shuts the gate.
  static constexpr int kFarLonger = 4;
  // How long a failed run shuts the gate.
  static constexpr Duration kRestAfterFailure = std::chrono::seconds(10);

  // With a bound of 0 the gate never opens.
  explicit LoopGate(Duration bound) : bound_(bound) {}

  // Whether a batch may run now. Reads the clock only if the gate is open and a run has ever failed.
  bool MayRun(const Clock& clock) const;

  // Reports what the largest batch took on one more of the threads that run the model; nullopt if that is not known.
  void OnWarmedUp(std::optional<Duration> largest);

  // Whether runs are to be timed by their thread's computing time. This is so only after a run took long by the clock,
  // because reading a thread's time costs more than reading the clock.
  bool watches() const { return watches_.load(std::memory_order_relaxed); }
  // Reports that a batch succeeded and took `took` by the clock and, if it was timed that way, `thread_time` of its
  // thread's time.
  void OnRun(Duration took, std::optional<Duration> thread_time);
  void OnFailure(TimePoint now);

 private:
  static constexpr Duration::rep kNeverFailed = std::numeric_limits<Duration::rep>::min();

  enum class State { kUnknown, kOpen, kShut };

  const Duration bound_;
  std::atomic<State> state_{State::kUnknown};
  std::atomic<bool> watches_{false};
  // Since the clock's epoch.
  std::atomic<Duration::rep> rests_until_{kNeverFailed};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_LOOP_GATE_H_
