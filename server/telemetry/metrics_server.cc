#include "server/telemetry/metrics_server.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/config/listen_address.h"

namespace predictd {

absl::StatusOr<std::unique_ptr<HttpServer>> ServeMetrics(const MetricsRegistry& registry, std::string_view address) {
  const absl::StatusOr<ListenAddress> parsed = ParseListenAddress({address.data(), address.size()});
  absl::Status status = parsed.status();
  if (parsed.ok()) {
    HttpServer::Routes routes;
    routes["/metrics"] = [&registry] {
      return HttpResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                          .body = registry.ExpositionText()};
    };
    auto server = HttpServer::Start(*parsed, std::move(routes));
    if (server.ok()) return server;
    status = absl::Status(server.status().code(), absl::StrCat(std::string(address), " ", server.status().message()));
  }
  return absl::Status(status.code(), absl::StrCat("metrics address ", status.message()));
}

}  // namespace predictd
