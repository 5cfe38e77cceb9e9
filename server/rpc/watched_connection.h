#ifndef PREDICTD_SERVER_RPC_WATCHED_CONNECTION_H_
#define PREDICTD_SERVER_RPC_WATCHED_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "server/async/clock.h"
#include "server/rpc/connection_policy.h"
#include "server/rpc/file_descriptor.h"
#include "server/rpc/peer_connection.h"
#include "server/rpc/socket_traffic.h"

namespace predictd {

// A connection as the watch sees it: a duplicate of its socket, and what the looks at it have shown. Used by one
// thread.
class WatchedConnection {
 public:
  WatchedConnection(std::shared_ptr<PeerConnection> connection, FileDescriptor socket, const ConnectionPolicy& policy,
                    TimePoint now)
      : connection_(std::move(connection)), socket_(std::move(socket)), ledger_(policy, now), looked_at_(now) {
    NarrowWindow(socket_.get());
  }

  const PeerConnection& connection() const { return *connection_; }
  const std::shared_ptr<PeerConnection>& shared_connection() const { return connection_; }
  int socket() const { return socket_.get(); }

  // Its place among all, for the watch.
  size_t index = 0;

  // Reads what has happened; whether that is worth a judgement.
  bool Look(TimePoint now);
  TimePoint looked_at() const { return looked_at_; }
  // Had more calls open than may be, at this time and the last. Calls that end faster than the loop sees it do not
  // count.
  bool HasTooManyCalls(const ConnectionPolicy& policy);
  // It has moved much between the last looks, or is new.
  bool busy() const { return busy_; }
  // What has been read of it since the last look, and whether its calls got on since then.
  int64_t ReadSinceLook() const;
  bool MovedSinceLook() const;
  int64_t read_bytes() const { return traffic_.read_bytes; }

  // Judges what the last look has shown, if that is worth it: by now the loops have handled the calls that had begun
  // then.
  Verdict Judge();
  // So many bytes more may come of calls that are refused without having begun.
  void Owe(int64_t bytes, TimePoint now) { ledger_.Owe(bytes, now); }
  // Of its unfinished messages.
  int64_t half_sent_bytes() const { return over_ ? 0 : ledger_.half_sent_bytes(); }
  // Calls that were cancelled of late beyond those that were not.
  double Resets(TimePoint now) const;

  // Lets no more data in; false if that cannot be done. Strikes are the times in a row, without an answered call
  // between.
  bool HoldBack(TimePoint now);
  void LetGo();
  bool held_back() const { return held_back_; }
  TimePoint held_back_at() const { return held_back_at_; }
  int strikes() const { return strikes_; }

  // When its unfinished messages were last given up.
  TimePoint shed_at() const { return shed_at_; }
  void set_shed_at(TimePoint when) { shed_at_ = when; }

  // Ends it: gRPC finds the connection at its end and closes its side.
  void ShutDown();
  bool over() const { return over_; }

 private:
  const std::shared_ptr<PeerConnection> connection_;
  const FileDescriptor socket_;
  ConnectionLedger ledger_;
  TimePoint looked_at_;
  SocketTraffic traffic_;
  CallCounts calls_;
  bool widened_ = false;
  bool busy_ = true;
  bool to_judge_ = false;
  bool over_ = false;
  bool too_many_calls_ = false;
  bool held_back_ = false;
  TimePoint held_back_at_;
  TimePoint shed_at_;
  int strikes_ = 0;
  int64_t answered_at_strike_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_WATCHED_CONNECTION_H_
