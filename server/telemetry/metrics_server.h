#ifndef PREDICTD_SERVER_TELEMETRY_METRICS_SERVER_H_
#define PREDICTD_SERVER_TELEMETRY_METRICS_SERVER_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// Serves GET /metrics in Prometheus' text format over HTTP, on threads of its own. Owned by the composition root.
class MetricsServer {
 public:
  // Listens on `address`, "127.0.0.1:9090" or "[::1]:9090"; port 0 asks for a free one. `registry` must outlive the
  // server. INVALID_ARGUMENT for a malformed address, UNAVAILABLE when it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Create(const MetricsRegistry& registry,
                                                               std::string_view address);
  // Answers the scrapes in progress, then stops. Blocks for up to 2 s: the HTTP library looks that seldom.
  ~MetricsServer();

  int port() const;

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_METRICS_SERVER_H_
