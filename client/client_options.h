// Which server a Client talks to, and how.
#ifndef PREDICTD_CLIENT_CLIENT_OPTIONS_H_
#define PREDICTD_CLIENT_CLIENT_OPTIONS_H_

#include <grpcpp/security/credentials.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "client/call_metadata.h"

namespace predictd {
inline namespace client {

struct ClientOptions {
  // host:port, or any target that gRPC resolves (dns:///..., unix:/path).
  std::string address = "127.0.0.1:8500";
  // For calls that set none. InfiniteDuration means none, but the server's own limit remains.
  absl::Duration default_deadline = absl::InfiniteDuration();
  // Sent with every call.
  Metadata metadata = {};
  // The limits for one message, in bytes, up to 2147483647. A larger answer ends the call with RESOURCE_EXHAUSTED,
  // and a larger request is not sent.
  std::int64_t max_receive_bytes = std::int64_t{64} << 20;
  std::int64_t max_send_bytes = std::int64_t{64} << 20;
  // How often a silent connection with running calls is probed, and how long the probe may take before the connection
  // counts as broken. InfiniteDuration means no probes. Servers close connections that are probed more often than they
  // allow: predictd more than every 10 seconds, others often more than every 5 minutes.
  absl::Duration keepalive_interval = absl::InfiniteDuration();
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // Whether this client has a connection of its own. Otherwise it shares one with the clients and channels of this
  // process that have the same address and options.
  bool own_connection = false;
  // The beginning of the user-agent header.
  std::string user_agent = {};
  // Whether environment variables such as http_proxy apply; they would also affect loopback addresses.
  bool use_http_proxy = false;
  // Null means plain text.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  // The server's name in its certificate and in the header :authority. Empty means the host of the address.
  std::string server_name = {};
};

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CLIENT_OPTIONS_H_
