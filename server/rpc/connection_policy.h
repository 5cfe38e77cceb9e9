#ifndef PREDICTD_SERVER_RPC_CONNECTION_POLICY_H_
#define PREDICTD_SERVER_RPC_CONNECTION_POLICY_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "server/async/clock.h"
#include "server/rpc/peer_connection.h"

namespace predictd {

// The limits of what a connection may take.
struct ConnectionPolicy {
  // The largest message of a call.
  int64_t max_message_bytes = 0;
  // How many bytes of messages may wait in a stream that the server does not read from: gRPC's own window, unless the
  // way to the peer is long and wide.
  int64_t unread_bytes = 64 << 10;
  // How many bytes a call's headers may take on the wire.
  int64_t header_bytes = 32 << 10;
  // How many bytes that belong to no call and no message may come at once, and how many in a second: pings, settings,
  // window updates, and calls that were refused.
  int64_t noise_burst = 1 << 20;
  int64_t noise_per_second = 1 << 20;
  // How long the peer may go on sending a message whose call has ended without it, and how many bytes of all such
  // messages together.
  Duration owed_for = std::chrono::seconds(5);
  // How many bytes more such messages may have if they are larger than allowed: gRPC reads them to their end.
  int64_t overlong_bytes = 0;
  int64_t most_owed = std::numeric_limits<int64_t>::max() / 2;
  // The most calls that may be open at a time. It is above what a client that keeps to its limit can reach, because
  // gRPC does not hold a client to the limit before that has acknowledged it. 0 means any number.
  int64_t max_open_calls = 0;
  // When an event loop has too much to do, a connection is to blame for it from this many recent cancelled calls on,
  // counted beyond its calls that were not cancelled.
  double resets = 1000;
  // So many are too many in any case: calls that have not been accepted yet wait inside gRPC, before everybody else's,
  // and with several loops that is not to be seen in what one of them does.
  double most_resets = 10'000;
};

enum class Verdict {
  kKeep,
  // The connection sends bytes without end that are part of no call or message.
  kNoise,
  // The connection has sent more bytes of unfinished messages than there can be.
  kHalfSent
};

// What has been read from a connection, what was written to it, and the counts of its calls.
struct ConnectionSnapshot {
  TimePoint at;
  int64_t read_bytes = 0;
  int64_t written_bytes = 0;
  CallCounts calls;
};

// Explains a connection's bytes by its calls, one snapshot after the other. Bytes that are explained by no message that
// has arrived are noise or, while a message is awaited, part of one. `calls` of a snapshot may be taken later than its
// bytes, but never earlier. Nothing else is required of the snapshots, so they may be taken at any times. The verdicts
// are a pure function of the snapshots. Used by one thread.
//
// Cancelled calls are only counted: clients have good reasons for them, and they do not matter to a loop that keeps up.
class ConnectionLedger {
 public:
  ConnectionLedger(const ConnectionPolicy& policy, TimePoint begin) : policy_(policy) { last_.at = begin; }

  Verdict Look(const ConnectionSnapshot& now);
  // Allows `bytes` more, which may come from calls that are refused without having begun.
  void Owe(int64_t bytes, TimePoint now);

  // The bytes of messages that have not arrived completely, as far as that can be told. What waits to be read because
  // the server is busy is not among them.
  int64_t half_sent_bytes() const {
    const int64_t unread = last_.calls.paused * policy_.unread_bytes;
    return std::max<int64_t>(0, half_sent_ - unread) + maybe_half_sent_;
  }
  // The recent calls that were cancelled, and messages of streams that were given up, less those that were not; half of
  // the number is forgotten with each second.
  double resets() const { return resets_; }
  const ConnectionSnapshot& last() const { return last_; }

 private:
  // Counts bytes that no call explains.
  void AddNoise(int64_t bytes);

  const ConnectionPolicy& policy_;
  ConnectionSnapshot last_;
  int64_t half_sent_ = 0;
  // What the frames of the last look's messages may have taken, and did not: their bytes may be counted later.
  int64_t frames_left_ = 0;
  // Of the bytes that were paid by owed_, those that may be of a message under way.
  int64_t maybe_half_sent_ = 0;
  int64_t noise_ = 0;
  // The bytes that may still come of messages whose calls ended without them, because the server refused those calls or
  // did not wait for them; and when such a call was last seen.
  int64_t owed_ = 0;
  TimePoint owed_at_;
  double resets_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CONNECTION_POLICY_H_
