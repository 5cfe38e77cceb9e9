#include "server/rpc/peer_watch.h"

#include <algorithm>

namespace predictd {
namespace {

// This is longer than any call, and short enough to be added to a time.
constexpr Duration kForever = std::chrono::hours(24 * 365);

}  // namespace

void PeerWatch::BeginReceiving(TimePoint now) {
  receiving_ = true;
  receiving_since_ = now;
}

void PeerWatch::BeginSending(TimePoint now, int64_t bytes) {
  sending_bytes_.store(bytes, std::memory_order_relaxed);
  sending_since_.store(now, std::memory_order_relaxed);
  sending_.store(true, std::memory_order_release);
}

void PeerWatch::EndSending(TimePoint now, int64_t bytes) {
  sending_.store(false, std::memory_order_release);
  if (limits_.least_rate == 0) return;
  waited_ += now - sending_since_.load(std::memory_order_relaxed);
  bytes_ += bytes;
  if (waited_ < limits_.stall) return;
  too_slow_.store(static_cast<double>(bytes_) < static_cast<double>(limits_.least_rate) * ToSeconds(waited_),
                  std::memory_order_relaxed);
  waited_ = Duration::zero();
  bytes_ = 0;
}

PeerWatch::Verdict PeerWatch::Look(TimePoint now, bool stopped) const {
  const bool sending = sending_.load(std::memory_order_acquire);
  const Duration received_for = receiving_ ? now - receiving_since_ : Duration::zero();
  const Duration sent_for = sending ? now - sending_since_.load(std::memory_order_relaxed) : Duration::zero();
  if (stopped) return {.cancel = std::max(received_for, sent_for) >= kStoppedGrace, .again = kStoppedGrace};
  const Duration receive_limit = std::min(limits_.receive, kForever);
  Duration stall_limit = std::min(limits_.stall, kForever);
  if (sending) stall_limit += std::chrono::seconds(sending_bytes_.load(std::memory_order_relaxed) / kSteadyRate);
  if (receiving_ && received_for >= receive_limit) return {.late = Late::kMessage, .again = kStoppedGrace};
  if (sending && (sent_for >= stall_limit || too_slow_.load(std::memory_order_relaxed))) {
    return {.late = Late::kReader, .again = kStoppedGrace};
  }
  // A wait that has not begun may begin at any time.
  return {.again = std::min(receive_limit - received_for, stall_limit - sent_for)};
}

}  // namespace predictd
