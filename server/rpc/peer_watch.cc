#include "server/rpc/peer_watch.h"

#include <algorithm>

namespace predictd {
namespace {

// This is longer than any call, and short enough to be added to a time.
constexpr Duration kForever = std::chrono::hours(24 * 365);

}  // namespace

void PeerWatch::Begin(For what, TimePoint now, int64_t bytes) {
  waiting_bytes_.store(bytes, std::memory_order_relaxed);
  since_.store(now, std::memory_order_relaxed);
  what_.store(what, std::memory_order_release);
}

void PeerWatch::EndSending(TimePoint now, int64_t bytes) {
  End();
  if (limits_.least_rate == 0) return;
  waited_ += now - since_.load(std::memory_order_relaxed);
  bytes_ += bytes;
  if (waited_ < limits_.stall) return;
  too_slow_.store(static_cast<double>(bytes_) < static_cast<double>(limits_.least_rate) * ToSeconds(waited_),
                  std::memory_order_relaxed);
  waited_ = Duration::zero();
  bytes_ = 0;
}

PeerWatch::Verdict PeerWatch::Look(TimePoint now, bool stopped) const {
  const For what = what_.load(std::memory_order_acquire);
  const Duration waited = what == For::kNothing ? Duration::zero() : now - since_.load(std::memory_order_relaxed);
  if (stopped) return {.cancel = waited >= kStoppedGrace, .again = kStoppedGrace};
  if (what == For::kNothing) return {.again = std::min({limits_.receive, limits_.stall, kForever})};
  const Duration steady = std::chrono::seconds(waiting_bytes_.load(std::memory_order_relaxed) / kSteadyRate);
  const Duration limit =
      what == For::kMessage ? std::min(limits_.receive, kForever) : std::min(limits_.stall, kForever) + steady;
  if (waited >= limit || too_slow_.load(std::memory_order_relaxed)) return {.late = true, .again = kStoppedGrace};
  return {.again = limit - waited};
}

}  // namespace predictd
