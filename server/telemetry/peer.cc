#include "server/telemetry/peer.h"

#include <charconv>
#include <cstddef>

#include "absl/strings/str_replace.h"

namespace predictd {

Peer ParsePeer(std::string_view peer) {
  if (peer.starts_with("unix:")) return {.address = std::string(peer.substr(5))};
  if (!peer.starts_with("ipv4:") && !peer.starts_with("ipv6:")) return {.address = std::string(peer)};
  peer.remove_prefix(5);
  const size_t colon = peer.rfind(':');
  if (colon == std::string_view::npos) return {.address = std::string(peer)};
  int port = 0;
  std::from_chars(peer.data() + colon + 1, peer.data() + peer.size(), port);
  const std::string host(peer.substr(0, colon));
  return {.address = absl::StrReplaceAll(host, {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}}), .port = port};
}

}  // namespace predictd
