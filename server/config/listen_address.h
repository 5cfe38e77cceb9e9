#ifndef PREDICTD_SERVER_CONFIG_LISTEN_ADDRESS_H_
#define PREDICTD_SERVER_CONFIG_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// An address to listen on, as an operator writes it.
struct ListenAddress {
  enum class Kind { kIpv4, kIpv6, kName, kUnix };
  Kind kind = Kind::kIpv4;
  // An IP address without brackets, a host name, or the path of a Unix socket.
  std::string host;
  int port = 0;  // 0 means a free port
};

// Reads "127.0.0.1:8500", "[::1]:8500", "localhost:8500" or "unix:/run/predictd.sock". Everything must be written out:
// there is no default port and no default host, and numbers that only look like an address ("0", "127.1", "010.0.0.1")
// are refused. The message of INVALID_ARGUMENT says what is wrong.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_LISTEN_ADDRESS_H_
