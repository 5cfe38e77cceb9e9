#ifndef PREDICTD_SERVER_RPC_WATCHED_CONNECTION_H_
#define PREDICTD_SERVER_RPC_WATCHED_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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

  // The connection's place in the watch's list.
  size_t index = 0;

  // Reads what has happened, and returns whether that is worth a judgement.
  bool Look(TimePoint now);
  TimePoint looked_at() const { return looked_at_; }
  // Returns whether more calls were open than allowed, both now and when this was last asked. Calls that end before the
  // loop sees them do not count.
  bool HasTooManyCalls(const ConnectionPolicy& policy);
  // Whether much was read between the last two looks, or the connection is new.
  bool busy() const { return busy_; }
  // How many bytes have been read since the last look, and whether the connection's calls and messages have got on
  // since then.
  int64_t ReadSinceLook() const;
  bool MovedSinceLook() const;
  int64_t read_bytes() const { return traffic_.read_bytes; }

  // Judges what the last look has shown; nullopt if that is not worth a judgement. It is called once the loops have
  // handled the calls that had begun by that look.
  std::optional<Verdict> Judge();
  // Allows `bytes` more, which may come from calls that are refused without having begun.
  void Owe(int64_t bytes, TimePoint now) { ledger_.Owe(bytes, now); }
  // The bytes of the connection's unfinished messages.
  int64_t half_sent_bytes() const { return over_ ? 0 : ledger_.half_sent_bytes(); }
  // The recent calls that were cancelled, and messages of streams that were given up, less those that were not.
  double Resets(TimePoint now) const;

  // HoldBack lets no more data in, and returns false if that cannot be done. Strikes count how often that was deserved
  // in a row, without an answered call or message in between.
  bool HoldBack(TimePoint now);
  void AddStrike();
  void LetGo();
  bool held_back() const { return held_back_; }
  TimePoint held_back_at() const { return held_back_at_; }
  int strikes() const { return strikes_; }

  // When a bad verdict came that has not been confirmed yet; the default if there is none.
  TimePoint doubted_at() const { return doubted_at_; }
  void set_doubted_at(TimePoint when) { doubted_at_ = when; }
  // Ends the doubt, if there is one, and lets the connection go on as before.
  void Trust();

  // When the calls of its unfinished messages were last ended.
  TimePoint shed_at() const { return shed_at_; }
  void set_shed_at(TimePoint when) { shed_at_ = when; }

  // Shuts the connection down: gRPC then finds its end and closes its own side.
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
  TimePoint doubted_at_;
  TimePoint shed_at_;
  int strikes_ = 0;
  int64_t answered_at_strike_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_WATCHED_CONNECTION_H_
