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
// noticed what the peer did. A call may wait for a message and for the reader at the same time, and for one of each. A
// wait for a message begins and ends on the loop, where Look is called; one for the reader, on whichever thread the
// call is on.
class PeerWatch {
 public:
  explicit PeerWatch(const PeerLimits& limits) : limits_(limits) {}

  void BeginReceiving(TimePoint now);
  void EndReceiving() { receiving_ = false; }
  // `bytes` is how much the reader has to take.
  void BeginSending(TimePoint now, int64_t bytes = 0);
  // The reader has taken `bytes`.
  void EndSending(TimePoint now, int64_t bytes);

  enum class Late { kNo, kMessage, kReader };
  struct Verdict {
    // With what the peer has used up its time.
    Late late = Late::kNo;
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
  // Whether a message is waited for, and since when.
  bool receiving_ = false;
  TimePoint receiving_since_;
  // The same for the reader. The time and the bytes are only meaningful during a wait.
  std::atomic<bool> sending_{false};
  std::atomic<TimePoint> sending_since_{TimePoint()};
  std::atomic<int64_t> sending_bytes_{0};
  std::atomic<bool> too_slow_{false};
  // Both sum up the writes since the reader's rate was last checked.
  Duration waited_{};
  int64_t bytes_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_PEER_WATCH_H_
