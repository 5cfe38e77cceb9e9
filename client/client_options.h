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

struct ClientOptions {
  // host:port, or any target that gRPC resolves (dns:///..., unix:/path).
  std::string address = "127.0.0.1:8500";
  // Of calls that set none. InfiniteDuration: none, the server's own limit remains.
  absl::Duration default_deadline = absl::InfiniteDuration();
  // Sent with every call.
  Metadata metadata = {};
  // Limits of one message, in bytes. An answer beyond it: RESOURCE_EXHAUSTED.
  std::int64_t max_receive_bytes = std::int64_t{64} << 20;
  std::int64_t max_send_bytes = std::int64_t{64} << 20;
  // How often a silent connection with calls on it is probed, and how long the probe may take before the connection
  // counts as broken. InfiniteDuration: no probes. Servers close connections that are probed more often than they
  // allow.
  absl::Duration keepalive_interval = absl::InfiniteDuration();
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // Comes first in the user-agent header.
  std::string user_agent = {};
  // Whether the variables http_proxy and friends apply; they would also catch loopback addresses.
  bool use_http_proxy = false;
  // Null: plain text.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_CLIENT_OPTIONS_H_
