#ifndef PREDICTD_SERVER_RPC_PEER_CONNECTION_H_
#define PREDICTD_SERVER_RPC_PEER_CONNECTION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace predictd {

// What the calls of one connection have come to. All of it only rises.
struct CallCounts {
  int64_t begun = 0;
  // First messages that have arrived, and the bytes of all messages.
  int64_t served = 0;
  int64_t message_bytes = 0;
  // Calls that ended, those whose message never came, and those that the caller cancelled.
  int64_t ended = 0;
  int64_t ended_unserved = 0;
  int64_t cancelled = 0;

  // Calls whose message is under way.
  int64_t awaiting() const { return begun - served - ended_unserved; }
};

// A client's connection as its calls see it: they say what they do, the watch reads it. Thread-safe, without locks.
class PeerConnection {
 public:
  // `peer` is what gRPC calls it; `group` the address that it is counted for.
  PeerConnection(std::string peer, std::string group) : peer_(std::move(peer)), group_(std::move(group)) {}

  const std::string& peer() const { return peer_; }
  const std::string& group() const { return group_; }

  // Read one by one: a call that goes on meanwhile may be in some and not yet in others.
  CallCounts counts() const;
  // Calls that have begun and not ended; may be off by those that do so just now.
  int64_t open() const { return begun_.load(std::memory_order_relaxed) - ended_.load(std::memory_order_relaxed); }

 private:
  friend class ConnectionUse;
  const std::string peer_;
  const std::string group_;
  std::atomic<int64_t> begun_{0};
  std::atomic<int64_t> served_{0};
  std::atomic<int64_t> message_bytes_{0};
  std::atomic<int64_t> ended_{0};
  std::atomic<int64_t> ended_unserved_{0};
  std::atomic<int64_t> cancelled_{0};
  // What its calls hold of the server's memory, in bytes.
  std::atomic<int64_t> held_{0};
};

// One call's use of its connection. Used by one thread at a time.
class ConnectionUse {
 public:
  ConnectionUse() = default;
  ~ConnectionUse() { End(/*cancelled=*/false); }
  ConnectionUse(const ConnectionUse&) = delete;
  ConnectionUse& operator=(const ConnectionUse&) = delete;

  // The call begins. Null: nothing is known of the connection, and nothing is counted.
  void Begin(std::shared_ptr<PeerConnection> connection);
  // A message of the caller has arrived.
  void OnMessage(int64_t bytes);
  // The call holds so many bytes more until it is over. What all calls of the connection hold with that; 0 if nothing
  // is known of it.
  int64_t Hold(int64_t bytes);
  // Calls of the connection that have begun and not ended, this one among them; 0 if nothing is known of it.
  int64_t open() const { return connection_ == nullptr ? 0 : connection_->open(); }
  bool IsOf(const PeerConnection& connection) const { return connection_.get() == &connection; }
  // The call is over; whether the caller cancelled it or went away.
  void End(bool cancelled);

 private:
  std::shared_ptr<PeerConnection> connection_;
  bool served_ = false;
  int64_t held_ = 0;
};

inline CallCounts PeerConnection::counts() const {
  CallCounts counts;
  // In the opposite order of a call's life, so that no call seems to have ended before it began.
  counts.cancelled = cancelled_.load(std::memory_order_acquire);
  counts.ended_unserved = ended_unserved_.load(std::memory_order_acquire);
  counts.ended = ended_.load(std::memory_order_acquire);
  counts.message_bytes = message_bytes_.load(std::memory_order_acquire);
  counts.served = served_.load(std::memory_order_acquire);
  counts.begun = begun_.load(std::memory_order_acquire);
  return counts;
}

inline void ConnectionUse::Begin(std::shared_ptr<PeerConnection> connection) {
  connection_ = std::move(connection);
  if (connection_ != nullptr) connection_->begun_.fetch_add(1, std::memory_order_release);
}

inline void ConnectionUse::OnMessage(int64_t bytes) {
  if (connection_ == nullptr) return;
  if (!std::exchange(served_, true)) connection_->served_.fetch_add(1, std::memory_order_release);
  connection_->message_bytes_.fetch_add(bytes, std::memory_order_release);
}

inline int64_t ConnectionUse::Hold(int64_t bytes) {
  if (connection_ == nullptr) return 0;
  held_ += bytes;
  return connection_->held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
}

inline void ConnectionUse::End(bool cancelled) {
  if (connection_ == nullptr) return;
  connection_->held_.fetch_sub(std::exchange(held_, 0), std::memory_order_relaxed);
  connection_->ended_.fetch_add(1, std::memory_order_release);
  if (!served_) connection_->ended_unserved_.fetch_add(1, std::memory_order_release);
  if (cancelled) connection_->cancelled_.fetch_add(1, std::memory_order_release);
  connection_ = nullptr;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_PEER_CONNECTION_H_
