#ifndef PREDICTD_SERVER_TELEMETRY_PEER_H_
#define PREDICTD_SERVER_TELEMETRY_PEER_H_

#include <string>
#include <string_view>

namespace predictd {

// The address of a caller.
struct Peer {
  std::string address;  // IP address or socket path; empty when unknown
  int port = 0;         // 0 when there is none
};

// Reads gRPC's notation: ipv4:10.0.0.7:51234, ipv6:%5B::1%5D:51234, ipv6:[::1]:51234, unix:/path. Anything else counts
// as an address.
Peer ParsePeer(std::string_view peer);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_PEER_H_
