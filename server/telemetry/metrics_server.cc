#include "server/telemetry/metrics_server.h"

#include <arpa/inet.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

class RegistryCollector final : public prometheus::Collectable {
 public:
  explicit RegistryCollector(const MetricsRegistry& registry) : registry_(registry) {}
  std::vector<prometheus::MetricFamily> Collect() const override { return registry_.Collect(); }

 private:
  const MetricsRegistry& registry_;
};

struct Host {
  int family;
  in6_addr address;  // an in_addr in front for AF_INET
};

// The HTTP library's own syntax also takes lists of addresses and letters that switch on TLS and redirects.
absl::StatusOr<Host> ParseHost(std::string_view address) {
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat("metrics address '", std::string(address), "' is not of the form 127.0.0.1:9090 or [::1]:9090"));
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return malformed;
  std::string host(address.substr(0, colon));
  const std::string port(address.substr(colon + 1));
  int number = 0;
  if (port.find_first_not_of("0123456789") != std::string::npos || !absl::SimpleAtoi(port, &number) || number > 65535) {
    return malformed;
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  Host parsed{bracketed ? AF_INET6 : AF_INET, {}};
  if (inet_pton(parsed.family, host.c_str(), &parsed.address) != 1) return malformed;
  return parsed;
}

// Connects and hangs up.
void Nudge(const Host& host, int port) {
  const int fd = socket(host.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  if (host.family == AF_INET) {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(static_cast<uint16_t>(port));
    std::memcpy(&peer.sin_addr, &host.address, sizeof(peer.sin_addr));
    (void)connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer));
  } else {
    sockaddr_in6 peer{};
    peer.sin6_family = AF_INET6;
    peer.sin6_port = htons(static_cast<uint16_t>(port));
    peer.sin6_addr = host.address;
    (void)connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer));
  }
  close(fd);
}

}  // namespace

struct MetricsServer::Impl {
  Impl(const MetricsRegistry& registry, std::string_view address, const Host& host)
      : host(host),
        collector(std::make_shared<RegistryCollector>(registry)),
        exposer(std::make_unique<prometheus::Exposer>(std::vector<std::string>{"listening_ports", std::string(address),
                                                                               "num_threads", "2", "request_timeout_ms",
                                                                               "5000", "enable_keep_alive", "no"})),
        port(exposer->GetListeningPorts().front()) {
    exposer->RegisterCollectable(collector);
  }

  // The HTTP library looks at its stop flag after each connection, or else every 2 s: so there are some.
  ~Impl() {
    std::atomic<bool> stopped = false;
    std::thread nudger([this, &stopped] {
      while (!stopped) {
        Nudge(host, port);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    exposer.reset();
    stopped = true;
    nudger.join();
  }

  const Host host;
  const std::shared_ptr<RegistryCollector> collector;
  std::unique_ptr<prometheus::Exposer> exposer;
  const int port;
};

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Create(const MetricsRegistry& registry,
                                                                     std::string_view address) {
  const absl::StatusOr<Host> host = ParseHost(address);
  if (!host.ok()) return host.status();
  try {
    return std::unique_ptr<MetricsServer>(new MetricsServer(std::make_unique<Impl>(registry, address, *host)));
  } catch (const std::exception&) {
    return absl::UnavailableError(absl::StrCat("metrics address ", std::string(address),
                                               " cannot be listened on: is the port taken, or the address not local?"));
  }
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;

int MetricsServer::port() const {
  return impl_->port;
}

}  // namespace predictd
