#ifndef PREDICTD_SERVER_RPC_CONNECTION_TABLE_H_
#define PREDICTD_SERVER_RPC_CONNECTION_TABLE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/rpc/peer_connection.h"

namespace predictd {

// How many connections there may be. Zero means no limit.
struct ConnectionLimits {
  size_t total = 0;
  // The limit for one address or, with IPv6, for one /64 network, which is what a single host is given.
  size_t per_peer = 0;
};

enum class Refusal { kNone, kTotal, kPeer };

// The open connections, by gRPC's name for the peer. Thread-safe.
class ConnectionTable {
 public:
  explicit ConnectionTable(const ConnectionLimits& limits) : limits_(limits) {}

  // Adds a connection. Returns null, with the reason in `refusal`, if a limit is reached. Throws if there is no memory,
  // and then nothing has changed. An entry of the same name is replaced: it can only be that of a connection whose end
  // has not been noticed yet.
  std::shared_ptr<PeerConnection> Add(std::string_view peer, Refusal& refusal);
  // Removes a connection that is over.
  void Remove(const PeerConnection& connection);

  // Returns null if no connection has that name, or if more than one may have it. `peer` is written as a call's context
  // writes it.
  std::shared_ptr<PeerConnection> Find(std::string_view peer) const;
  size_t size() const;

 private:
  void RemoveLocked(const PeerConnection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  // This is not one of Abseil's maps, because those are left broken when they cannot grow for want of memory.
  template <class Value>
  using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  const ConnectionLimits limits_;
  mutable Mutex mutex_;
  size_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  ByName<std::shared_ptr<PeerConnection>> by_peer_ ABSL_GUARDED_BY(mutex_);
  ByName<size_t> group_sizes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CONNECTION_TABLE_H_
