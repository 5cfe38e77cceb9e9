#ifndef PREDICTD_SERVER_RPC_SOCKET_TRAFFIC_H_
#define PREDICTD_SERVER_RPC_SOCKET_TRAFFIC_H_

#include <cstdint>
#include <optional>

namespace predictd {

// What the kernel knows of a TCP connection.
struct SocketTraffic {
  // Taken by whoever reads the socket, without what waits in the receive buffer.
  int64_t read_bytes = 0;
  // Acknowledged by the other end.
  int64_t written_bytes = 0;
};

// Nothing if it is no TCP socket.
std::optional<SocketTraffic> ReadTraffic(int socket);

// How many bytes the other end may send ahead of the reader, for a connection that has not made a call yet, and for one
// that has: then the kernel decides.
void NarrowWindow(int socket);
void WidenWindow(int socket);

// Lets nothing more into the receive buffer, as if the network lost it: the reader soon finds the buffer empty, and the
// other end sends again later. From then on it may send less ahead, so that a second time takes effect at once, until
// the window is widened. False where the kernel cannot do it.
bool HoldBack(int socket);
// Ends that.
void LetGo(int socket);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_SOCKET_TRAFFIC_H_
