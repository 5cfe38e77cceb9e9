#ifndef PREDICTD_SERVER_RPC_CONNECTION_POLICY_H_
#define PREDICTD_SERVER_RPC_CONNECTION_POLICY_H_

#include <chrono>
#include <cstdint>

#include "server/async/clock.h"
#include "server/rpc/peer_connection.h"

namespace predictd {

// What a connection may take.
struct ConnectionPolicy {
  // Largest message of a call.
  int64_t max_message_bytes = 0;
  // What a call's headers may take on the wire.
  int64_t header_bytes = 32 << 10;
  // Bytes that belong to no call and no message: pings, settings, window updates, calls that were refused. So many at
  // once, and so many a second.
  int64_t noise_burst = 1 << 20;
  int64_t noise_per_second = 1 << 20;
  // How long the other end may go on sending a message whose call has ended without it.
  Duration owed_for = std::chrono::seconds(5);
  // Calls at a time, so many that a client which keeps to its limit cannot have them: gRPC holds none to the limit who
  // has not acknowledged it. 0: any number.
  int64_t max_open_calls = 0;
  // Calls that were cancelled of late, beyond those that were not, from which on a connection is to blame if an event
  // loop has too much to do.
  double resets = 1000;
};

enum class Verdict {
  kKeep,
  // Takes bytes without end that are no part of a call or message.
  kNoise,
  // Has sent more of unfinished messages than there can be.
  kHalfSent
};

// What has been read from a connection, what was written to it, and what its calls came to.
struct ConnectionSnapshot {
  TimePoint at;
  int64_t read_bytes = 0;
  int64_t written_bytes = 0;
  CallCounts calls;
};

// Explains a connection's bytes by its calls, look by look. What no message that arrived explains is noise or, while a
// message is awaited, part of one. `calls` may be later than the bytes, never earlier: nothing else is asked of the
// snapshots, so the looks may come as they like. A pure function of the snapshots; used by one thread.
//
// Cancelled calls are counted only: clients have good reasons for them, and a loop that keeps up need not mind.
class ConnectionLedger {
 public:
  ConnectionLedger(const ConnectionPolicy& policy, TimePoint begin) : policy_(policy) { last_.at = begin; }

  Verdict Look(const ConnectionSnapshot& now);
  // So many bytes more may come of calls that are refused without having begun.
  void Owe(int64_t bytes, TimePoint now);

  // The bytes of messages that have not arrived yet, as far as can be told.
  int64_t half_sent_bytes() const { return half_sent_ > 0 ? half_sent_ : 0; }
  // Calls that were cancelled of late beyond those that were not; half of them are forgotten with each second.
  double resets() const { return resets_; }
  const ConnectionSnapshot& last() const { return last_; }

 private:
  // Bytes that no call explains.
  void AddNoise(int64_t bytes);

  const ConnectionPolicy& policy_;
  ConnectionSnapshot last_;
  int64_t half_sent_ = 0;
  int64_t noise_ = 0;
  // What may still come of messages whose calls ended without them: the server refused those, or did not wait. And when
  // such a call was last seen.
  int64_t owed_ = 0;
  TimePoint owed_at_;
  double resets_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CONNECTION_POLICY_H_
