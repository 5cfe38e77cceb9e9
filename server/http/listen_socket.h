#ifndef PREDICTD_SERVER_HTTP_LISTEN_SOCKET_H_
#define PREDICTD_SERVER_HTTP_LISTEN_SOCKET_H_

#include "absl/status/statusor.h"
#include "server/config/listen_address.h"

namespace predictd {

struct ListenSocket {
  int fd = -1;
  int port = 0;
};

// Listens on an IP address or a host's first address, without blocking. The caller closes the descriptor. Returns
// UNAVAILABLE, with the system's own words for the cause.
absl::StatusOr<ListenSocket> Listen(const ListenAddress& address);

}  // namespace predictd

#endif  // PREDICTD_SERVER_HTTP_LISTEN_SOCKET_H_
