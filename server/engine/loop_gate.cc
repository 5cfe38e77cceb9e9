#include "server/engine/loop_gate.h"

namespace predictd {

void LoopGate::OnWarmedUp(std::optional<Duration> largest) {
  if (!largest.has_value() || *largest > bound_ || bound_ == Duration::zero()) {
    state_.store(State::kShut, std::memory_order_relaxed);
    return;
  }
  // A gate that was shut on another thread stays shut.
  State unknown = State::kUnknown;
  state_.compare_exchange_strong(unknown, State::kOpen, std::memory_order_relaxed);
}

bool LoopGate::MayRun(const Clock& clock) const {
  if (state_.load(std::memory_order_relaxed) != State::kOpen) return false;
  const Duration::rep rests_until = rests_until_.load(std::memory_order_relaxed);
  return rests_until == kNeverFailed || clock.Now().time_since_epoch().count() >= rests_until;
}

void LoopGate::OnRun(Duration took, std::optional<Duration> thread_time) {
  if (took <= kFarLonger * bound_ || state_.load(std::memory_order_relaxed) != State::kOpen) return;
  if (!thread_time.has_value()) {
    watches_.store(true, std::memory_order_relaxed);
  } else if (*thread_time > kFarLonger * bound_) {
    state_.store(State::kShut, std::memory_order_relaxed);
  }
}

void LoopGate::OnFailure(TimePoint now) {
  rests_until_.store((now + kRestAfterFailure).time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace predictd
