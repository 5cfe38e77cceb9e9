#ifndef PREDICTD_SERVER_RPC_PEER_CONNECTION_H_
#define PREDICTD_SERVER_RPC_PEER_CONNECTION_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "server/async/clock.h"
#include "server/rpc/memory_budget.h"

namespace predictd {

// The counts of one connection's calls. All but the last one never decrease.
struct CallCounts {
  int64_t begun = 0;
  // The calls whose only message has arrived, or from which nothing more can come, and the bytes of all messages.
  int64_t served = 0;
  int64_t message_bytes = 0;
  // What the frames of the messages of streams may have taken beside those bytes, at the most.
  int64_t frame_bytes = 0;
  // The calls that have ended; among them those that still waited for a message, and those that the caller cancelled.
  int64_t ended = 0;
  int64_t ended_unserved = 0;
  int64_t cancelled = 0;
  // The messages of streams that were served, each of which is as much work as a call; and those that their callers
  // gave up before.
  int64_t messages_served = 0;
  int64_t messages_given_up = 0;
  // How many streams there are at this moment that the server does not read from, because it is busy with what they
  // have sent. This may decrease.
  int64_t paused = 0;

  // The calls whose message is under way.
  int64_t awaiting() const { return begun - served - ended_unserved; }
  // What was done for the peer, and what it gave up.
  int64_t answered() const { return ended - cancelled + messages_served; }
  int64_t given_up() const { return cancelled + messages_given_up; }
};

// A client's connection as its calls see it: the calls say what they do, and the watch reads it. Thread-safe, without
// locks.
class PeerConnection {
 public:
  // This covers our timer, which fires up to a millisecond late, and the peer, which has to wake up.
  static constexpr Duration kLeastWayBack = std::chrono::milliseconds(2);
  // Sending that takes longer has another cause, such as a slow reader, and is counted as this.
  static constexpr Duration kMostSending = std::chrono::milliseconds(4);

  // `peer` is gRPC's name for the connection; `group` is the address that the connection counts for.
  PeerConnection(std::string peer, std::string group) : peer_(std::move(peer)), group_(std::move(group)) {}

  const std::string& peer() const { return peer_; }
  const std::string& group() const { return group_; }

  // The counts are read one by one, so a call that goes on meanwhile may be in some of them and not yet in others.
  CallCounts counts() const;
  // How long an answer takes to reach the peer, as seen on this connection; at least kLeastWayBack.
  Duration way_back() const {
    return kLeastWayBack + Duration(round_trip_.load(std::memory_order_relaxed)) +
           2 * Duration(sending_.load(std::memory_order_relaxed));
  }
  // Takes the shortest round trip that the kernel has seen.
  void NoteRoundTrip(Duration took) { round_trip_.store(took.count(), std::memory_order_relaxed); }

  // The calls that have begun and have not ended; calls that begin or end at this moment may be missed.
  int64_t open() const { return begun_.load(std::memory_order_relaxed) - ended_.load(std::memory_order_relaxed); }

 private:
  friend class ConnectionUse;
  friend class MessageMemory;
  const std::string peer_;
  const std::string group_;
  std::atomic<int64_t> begun_{0};
  std::atomic<int64_t> served_{0};
  std::atomic<int64_t> message_bytes_{0};
  std::atomic<int64_t> frame_bytes_{0};
  std::atomic<int64_t> ended_{0};
  std::atomic<int64_t> ended_unserved_{0};
  std::atomic<int64_t> cancelled_{0};
  std::atomic<int64_t> messages_served_{0};
  std::atomic<int64_t> messages_given_up_{0};
  std::atomic<int64_t> paused_{0};
  // How much of the server's memory the connection's calls hold, in bytes.
  std::atomic<int64_t> held_{0};
  // Both are in nanoseconds. The second is the smoothed time from the decision how a call ends until the socket has the
  // status.
  std::atomic<Duration::rep> round_trip_{0};
  std::atomic<Duration::rep> sending_{0};
};

// What one message to or from the caller holds of the server's memory, beside what its call holds. Any thread may
// destroy it.
class MessageMemory {
 public:
  // `connection` may be null; otherwise it outlives the share, as the budget does.
  MessageMemory(MemoryBudget& budget, PeerConnection* connection) : share_(budget), connection_(connection) {}
  ~MessageMemory() {
    if (connection_ != nullptr) connection_->held_.fetch_sub(held_, std::memory_order_relaxed);
  }
  MessageMemory(MessageMemory&& other) noexcept
      : share_(std::move(other.share_)), connection_(other.connection_), held_(std::exchange(other.held_, 0)) {}
  MessageMemory& operator=(MessageMemory&&) = delete;

  MemoryShare& share() { return share_; }
  // Counts `bytes` more for the connection, and returns what all its calls then hold, or 0 if nothing is known of it.
  int64_t Hold(int64_t bytes) {
    if (connection_ == nullptr) return 0;
    held_ += bytes;
    return connection_->held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  }
  void GiveAllBack() {
    share_.GiveAllBack();
    if (connection_ != nullptr) connection_->held_.fetch_sub(std::exchange(held_, 0), std::memory_order_relaxed);
  }

 private:
  MemoryShare share_;
  PeerConnection* const connection_;
  int64_t held_ = 0;
};

// One call's use of its connection. Used by one thread at a time.
class ConnectionUse {
 public:
  ConnectionUse() = default;
  ~ConnectionUse() { End(/*cancelled=*/false); }
  ConnectionUse(const ConnectionUse&) = delete;
  ConnectionUse& operator=(const ConnectionUse&) = delete;

  // The call begins. If `connection` is null, nothing is known of the connection and nothing is counted.
  void Begin(std::shared_ptr<PeerConnection> connection);
  // A message of the caller has arrived, and another one may follow or not.
  void OnMessage(int64_t bytes, bool more_may_follow);
  // The caller has said that nothing more comes.
  void OnLastMessage();
  // Any thread may say that a message of a stream was served, or that its caller has given it up before.
  void OnMessageServed(bool given_up) const;
  // Whether the call is a stream that the server does not read from at this moment.
  void Pause(bool paused);
  // Makes the call hold `bytes` more until it is over. Returns what all calls of the connection then hold, or 0 if
  // nothing is known of the connection.
  int64_t Hold(int64_t bytes);
  // The calls of the connection that have begun and have not ended, including this one; 0 if nothing is known of the
  // connection.
  int64_t open() const { return connection_ == nullptr ? 0 : connection_->open(); }
  bool IsOf(const PeerConnection& connection) const { return connection_.get() == &connection; }
  // Null if nothing is known of the connection. It lives until End.
  PeerConnection* connection() const { return connection_.get(); }
  // See PeerConnection.
  Duration way_back() const { return connection_ == nullptr ? PeerConnection::kLeastWayBack : connection_->way_back(); }
  // `took` is the time from the decision how the call ends until that was sent.
  void OnSent(Duration took);
  // The call is over; `cancelled` says whether the caller cancelled it or went away.
  void End(bool cancelled);

 private:
  // gRPC's own header of each message; that of a frame, and one byte for the rounding below; and as many bytes have
  // another frame's header among them.
  static constexpr int64_t kPrefixBytes = 5;
  static constexpr int64_t kFrameBytes = 9 + 1;
  static constexpr int64_t kFrameShare = 64;

  std::shared_ptr<PeerConnection> connection_;
  bool served_ = false;
  bool paused_ = false;
  int64_t held_ = 0;
};

inline CallCounts PeerConnection::counts() const {
  CallCounts counts;
  // The counts are read in the opposite order of a call's life, so that no call seems to have ended before it began.
  counts.paused = paused_.load(std::memory_order_relaxed);
  counts.messages_given_up = messages_given_up_.load(std::memory_order_relaxed);
  counts.messages_served = messages_served_.load(std::memory_order_relaxed);
  counts.cancelled = cancelled_.load(std::memory_order_acquire);
  counts.ended_unserved = ended_unserved_.load(std::memory_order_acquire);
  counts.ended = ended_.load(std::memory_order_acquire);
  counts.frame_bytes = frame_bytes_.load(std::memory_order_acquire);
  counts.message_bytes = message_bytes_.load(std::memory_order_acquire);
  counts.served = served_.load(std::memory_order_acquire);
  counts.begun = begun_.load(std::memory_order_acquire);
  return counts;
}

inline void ConnectionUse::Begin(std::shared_ptr<PeerConnection> connection) {
  connection_ = std::move(connection);
  if (connection_ != nullptr) connection_->begun_.fetch_add(1, std::memory_order_release);
}

inline void ConnectionUse::OnMessage(int64_t bytes, bool more_may_follow) {
  if (connection_ == nullptr) return;
  if (!more_may_follow) OnLastMessage();
  // A stream's messages come without headers that would explain their frames: 9 bytes each, for as little as a KiB. But
  // many messages may lie in one frame, so only their prefixes are certain.
  connection_->message_bytes_.fetch_add(bytes + (more_may_follow ? kPrefixBytes : 0), std::memory_order_release);
  if (more_may_follow) {
    connection_->frame_bytes_.fetch_add(kFrameBytes + bytes / kFrameShare, std::memory_order_release);
  }
}

inline void ConnectionUse::OnLastMessage() {
  if (connection_ == nullptr || std::exchange(served_, true)) return;
  connection_->served_.fetch_add(1, std::memory_order_release);
}

inline void ConnectionUse::OnMessageServed(bool given_up) const {
  if (connection_ == nullptr) return;
  (given_up ? connection_->messages_given_up_ : connection_->messages_served_).fetch_add(1, std::memory_order_relaxed);
}

inline void ConnectionUse::Pause(bool paused) {
  if (connection_ == nullptr || std::exchange(paused_, paused) == paused) return;
  connection_->paused_.fetch_add(paused ? 1 : -1, std::memory_order_relaxed);
}

inline int64_t ConnectionUse::Hold(int64_t bytes) {
  if (connection_ == nullptr) return 0;
  held_ += bytes;
  return connection_->held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
}

inline void ConnectionUse::OnSent(Duration took) {
  if (connection_ == nullptr) return;
  // One of two concurrent updates may be lost, which does not matter.
  std::atomic<Duration::rep>& average = connection_->sending_;
  const Duration::rep now = std::min(took, PeerConnection::kMostSending).count();
  const Duration::rep before = average.load(std::memory_order_relaxed);
  average.store(before + (now - before) / 8, std::memory_order_relaxed);
}

inline void ConnectionUse::End(bool cancelled) {
  if (connection_ == nullptr) return;
  Pause(false);
  connection_->held_.fetch_sub(std::exchange(held_, 0), std::memory_order_relaxed);
  connection_->ended_.fetch_add(1, std::memory_order_release);
  if (!served_) connection_->ended_unserved_.fetch_add(1, std::memory_order_release);
  if (cancelled) connection_->cancelled_.fetch_add(1, std::memory_order_release);
  connection_ = nullptr;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_PEER_CONNECTION_H_
