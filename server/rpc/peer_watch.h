#ifndef PREDICTD_SERVER_RPC_PEER_WATCH_H_
#define PREDICTD_SERVER_RPC_PEER_WATCH_H_

#include <atomic>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// How long the peer of a call may keep it waiting.
struct PeerLimits {
  // How long a message may take to arrive once the call waits for it.
  Duration receive = Duration::max();
  // How long a message or status may wait for its reader. A large message gets one second more for each kSteadyRate
  // bytes, because gRPC only tells when the whole of it has been taken.
  Duration stall = Duration::max();
  // How many bytes a second a reader must take over any `stall` of waiting. 0 means any rate.
  int64_t least_rate = 0;
};

// Watches whether the peer of one call keeps it waiting for too long, with the rest of a message that it sends or with
// taking what is sent to it. This is only the policy: it neither reads a clock nor stops anything.
//
// Times are those of the event loop's own clock (EventLoop::OwnTime), which stands still while the loop could not have
// noticed what the peer did. There is at most one wait at a time. It is begun and ended by whichever thread the call is
// on; Look is for the loop.
class PeerWatch {
 public:
  enum class For : int { kNothing, kMessage, kReader };

  explicit PeerWatch(const PeerLimits& limits) : limits_(limits) {}

  // `bytes` is how much a reader has to take.
  void Begin(For what, TimePoint now, int64_t bytes = 0);
  void End() { what_.store(For::kNothing, std::memory_order_release); }
  // Ends a wait for the reader, which has taken `bytes`.
  void EndSending(TimePoint now, int64_t bytes);

  struct Verdict {
    // The peer has used up its time.
    bool late = false;
    // The peer keeps waiting even a call that has been stopped; only cancelling the call ends that.
    bool cancel = false;
    // How long from now to the next look.
    Duration again{};
  };
  Verdict Look(TimePoint now, bool stopped) const;

  // How long a peer gets to take the status of a call that was stopped.
  static constexpr Duration kStoppedGrace = std::chrono::milliseconds(200);
  // In bytes a second.
  static constexpr int64_t kSteadyRate = int64_t{256} << 10;

 private:
  const PeerLimits& limits_;
  std::atomic<For> what_{For::kNothing};
  // When the wait began; only meaningful during a wait.
  std::atomic<TimePoint> since_{TimePoint()};
  std::atomic<int64_t> waiting_bytes_{0};
  std::atomic<bool> too_slow_{false};
  // Both sum up the writes since the reader's rate was last checked.
  Duration waited_{};
  int64_t bytes_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_PEER_WATCH_H_
