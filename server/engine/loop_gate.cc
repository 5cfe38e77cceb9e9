#include "server/engine/loop_gate.h"

namespace predictd {

void LoopGate::OnWarmedUp(std::optional<Duration> largest) {
  if (!largest.has_value() || *largest > bound_ || bound_ == Duration::zero()) {
    state_.store(State::kShut, std::memory_order_relaxed);
    return;
  }
  // What was shut on another thread stays so.
  State unknown = State::kUnknown;
  state_.compare_exchange_strong(unknown, State::kOpen, std::memory_order_relaxed);
}

void LoopGate::OnRun(Duration took, std::optional<Duration> thread_time) {
  if (took <= kFarLonger * bound_ || !open()) return;
  if (!thread_time.has_value()) {
    watches_.store(true, std::memory_order_relaxed);
  } else if (*thread_time > kFarLonger * bound_) {
    state_.store(State::kShut, std::memory_order_relaxed);
  }
}

}  // namespace predictd
