#ifndef PREDICTD_SERVER_TELEMETRY_METRICS_SERVER_H_
#define PREDICTD_SERVER_TELEMETRY_METRICS_SERVER_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/http/http_server.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// Serves GET /metrics in Prometheus' text format on `address`, such as "127.0.0.1:9090", "[::1]:9090" or
// "localhost:9090"; port 0 asks for a free one. `registry` must outlive the server. Returns INVALID_ARGUMENT for a
// malformed address, and UNAVAILABLE with the cause if it cannot listen on the address.
absl::StatusOr<std::unique_ptr<HttpServer>> ServeMetrics(const MetricsRegistry& registry, std::string_view address);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_METRICS_SERVER_H_
