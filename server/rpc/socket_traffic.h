#ifndef PREDICTD_SERVER_RPC_SOCKET_TRAFFIC_H_
#define PREDICTD_SERVER_RPC_SOCKET_TRAFFIC_H_

#include <cstdint>
#include <optional>

#include "server/async/clock.h"

namespace predictd {

// What the kernel knows of a TCP connection.
struct SocketTraffic {
  // The bytes that were read from the socket; those that still wait in the receive buffer do not count.
  int64_t read_bytes = 0;
  // The bytes that the peer has acknowledged.
  int64_t written_bytes = 0;
  // The shortest recent round trip; zero while none is known.
  Duration round_trip = Duration::zero();
};

// Returns nullopt if it is no TCP socket.
std::optional<SocketTraffic> ReadTraffic(int socket);

// Limit how many bytes the peer may send ahead of the reader: narrow for a connection that has not made a call yet; for
// one that has, the kernel decides.
void NarrowWindow(int socket);
void WidenWindow(int socket);

// Lets nothing more into the receive buffer, as if the network lost it: the reader soon finds the buffer empty, and the
// peer sends again later. From then on the peer may send less ahead, so that a second time takes effect at once, until
// the window is widened. Returns false where the kernel cannot do it.
bool HoldBack(int socket);
// Ends what HoldBack began.
void LetGo(int socket);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_SOCKET_TRAFFIC_H_
