#include "server/telemetry/peer.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(ParsePeerTest, ReadsEveryNotationOfGrpc) {
  struct Case {
    std::string_view peer;
    std::string_view address;
    int port;
  };
  for (const Case& c : {
           Case{"ipv4:10.0.0.7:51234", "10.0.0.7", 51234},
           Case{"ipv6:%5B::1%5D:51234", "::1", 51234},
           Case{"ipv6:[2001:db8::1]:443", "2001:db8::1", 443},
           Case{"unix:/run/predictd.sock", "/run/predictd.sock", 0},
           Case{"unix:", "", 0},
           Case{"ipv4:", "", 0},
           Case{"ipv4:10.0.0.7:port", "10.0.0.7", 0},
           Case{"something", "something", 0},
           Case{"", "", 0},
       }) {
    const Peer peer = ParsePeer(c.peer);
    EXPECT_EQ(peer.address, c.address) << c.peer;
    EXPECT_EQ(peer.port, c.port) << c.peer;
  }
}

}  // namespace
}  // namespace predictd
