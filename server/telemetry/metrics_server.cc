#include "server/telemetry/metrics_server.h"

#include <arpa/inet.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <string>
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

// The HTTP library's own syntax also takes lists of addresses and letters that switch on TLS and redirects.
absl::Status ValidateAddress(std::string_view address) {
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
  in6_addr parsed{};
  return inet_pton(bracketed ? AF_INET6 : AF_INET, host.c_str(), &parsed) == 1 ? absl::OkStatus() : malformed;
}

}  // namespace

struct MetricsServer::Impl {
  Impl(const MetricsRegistry& registry, std::string_view address)
      : collector(std::make_shared<RegistryCollector>(registry)),
        exposer(std::vector<std::string>{"listening_ports", std::string(address), "num_threads", "2",
                                         "request_timeout_ms", "5000", "enable_keep_alive", "no"}) {
    exposer.RegisterCollectable(collector);
  }

  const std::shared_ptr<RegistryCollector> collector;
  prometheus::Exposer exposer;
};

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Create(const MetricsRegistry& registry,
                                                                     std::string_view address) {
  if (absl::Status status = ValidateAddress(address); !status.ok()) return status;
  try {
    return std::unique_ptr<MetricsServer>(new MetricsServer(std::make_unique<Impl>(registry, address)));
  } catch (const std::exception&) {
    return absl::UnavailableError(absl::StrCat("metrics address ", std::string(address),
                                               " cannot be listened on: is the port taken, or the address not local?"));
  }
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;

int MetricsServer::port() const {
  return impl_->exposer.GetListeningPorts().front();
}

}  // namespace predictd
