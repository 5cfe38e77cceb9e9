#include "server/rpc/connection_table.h"

#include <arpa/inet.h>

#include <cstring>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/telemetry/peer.h"

namespace predictd {
namespace {

// gRPC's versions differ in how they write the brackets of IPv6. Names of other kinds are their own keys, without a
// copy.
std::string_view Key(std::string_view peer, std::string& storage) {
  if (!peer.starts_with("ipv6:")) return peer;
  const Peer parsed = ParsePeer(peer);
  storage = absl::StrCat("ipv6:", parsed.address, " ", parsed.port);
  return storage;
}

// Returns whether the name identifies a connection. All clients of a Unix socket have the same name, so the counts of
// their calls would go to whichever came last.
bool IsNamed(std::string_view peer) {
  return !peer.starts_with("unix:");
}

// The address that a peer counts for.
std::string Group(std::string_view peer) {
  const Peer parsed = ParsePeer(peer);
  in6_addr address{};
  if (!peer.starts_with("ipv6:") || inet_pton(AF_INET6, parsed.address.c_str(), &address) != 1) return parsed.address;
  std::string network(8, '\0');
  std::memcpy(network.data(), &address, network.size());
  return network;
}

}  // namespace

std::shared_ptr<PeerConnection> ConnectionTable::Add(std::string_view peer, Refusal& refusal) {
  std::string storage;
  std::string key(Key(peer, storage));
  auto connection = std::make_shared<PeerConnection>(key, Group(peer));
  MutexLock lock(mutex_);
  refusal = Refusal::kNone;
  if (limits_.total > 0 && size_ >= limits_.total) refusal = Refusal::kTotal;
  // Connections are counted by group only if there is a limit for it.
  const bool grouped = limits_.per_peer > 0;
  if (grouped && refusal == Refusal::kNone) {
    const auto group = group_sizes_.find(connection->group());
    if (group != group_sizes_.end() && group->second >= limits_.per_peer) refusal = Refusal::kPeer;
  }
  if (refusal != Refusal::kNone) return nullptr;
  if (grouped) ++group_sizes_[connection->group()];
  ++size_;
  try {
    if (IsNamed(peer)) by_peer_[std::move(key)] = connection;
  } catch (const std::exception&) {
    RemoveLocked(*connection);
    throw;
  }
  return connection;
}

void ConnectionTable::Remove(const PeerConnection& connection) {
  MutexLock lock(mutex_);
  RemoveLocked(connection);
}

void ConnectionTable::RemoveLocked(const PeerConnection& connection) {
  --size_;
  const auto found = by_peer_.find(connection.peer());
  if (found != by_peer_.end() && found->second.get() == &connection) by_peer_.erase(found);
  const auto group = group_sizes_.find(connection.group());
  if (group != group_sizes_.end() && --group->second == 0) group_sizes_.erase(group);
}

std::shared_ptr<PeerConnection> ConnectionTable::Find(std::string_view peer) const {
  if (!IsNamed(peer)) return nullptr;
  std::string storage;
  const std::string_view key = Key(peer, storage);
  MutexLock lock(mutex_);
  const auto found = by_peer_.find(key);
  return found == by_peer_.end() ? nullptr : found->second;
}

size_t ConnectionTable::size() const {
  MutexLock lock(mutex_);
  return size_;
}

}  // namespace predictd
