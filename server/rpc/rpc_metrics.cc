#include "server/rpc/rpc_metrics.h"

#include <string_view>
#include <vector>

namespace predictd {
namespace {

constexpr std::array<absl::string_view, 17> kCodeNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string_view View(absl::string_view text) {
  return {text.data(), text.size()};
}

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

absl::string_view CodeName(int code) {
  return code >= 0 && code < static_cast<int>(kCodeNames.size()) ? kCodeNames[code] : "UNKNOWN";
}

RpcMetrics::RpcMetrics(MetricsRegistry& registry)
    : requests_(registry.AddCounter("predictd_requests_total",
                                    "Calls that have ended, by method, model and status code.",
                                    {"method", "model", "code"})),
      seconds_(registry.AddHistogram("predictd_request_seconds", "Time from a call's arrival to its last byte.",
                                     ExponentialBounds(0.0001, 2, 18), {"method", "model"})),
      in_flight_(
          registry.AddGauge("predictd_requests_in_flight", "Calls that have arrived and not ended.", {"method"})),
      request_memory_(registry
                          .AddGauge("predictd_request_memory_bytes",
                                    "What calls hold of --request-memory: themselves, requests and answers.")
                          .With()),
      loop_lag_(registry
                    .AddHistogram("predictd_event_loop_lag_seconds",
                                  "How late a timer of an event loop fired: what a ready event had to wait.",
                                  ExponentialBounds(0.0001, 2, 15))
                    .With()),
      loop_busy_(registry
                     .AddHistogram("predictd_event_loop_busy_seconds",
                                   "How long an event loop handled a burst of events before it looked for new ones.",
                                   ExponentialBounds(0.00001, 2, 18))
                     .With()),
      connections_(registry) {}

RpcMetrics::Series::Series(RpcMetrics& metrics, absl::string_view method, absl::string_view model)
    : requests_(metrics.requests_),
      method_(method),
      model_(model),
      seconds_(metrics.seconds_.With({View(method), View(model)})) {}

Counter& RpcMetrics::Series::ended(int code) const {
  std::atomic<Counter*>& known = ended_[code];
  if (Counter* counter = known.load(std::memory_order_acquire)) return *counter;
  // Two threads at once get the same one.
  Counter& counter = requests_.With({View(method_), View(model_), View(CodeName(code))});
  known.store(&counter, std::memory_order_release);
  return counter;
}

Gauge& RpcMetrics::InFlight(absl::string_view method) {
  return in_flight_.With({View(method)});
}

void RpcMetrics::OnLag(Duration lag) {
  loop_lag_.Observe(Seconds(lag));
}

void RpcMetrics::OnBurst(Duration busy, int /*events*/) {
  loop_busy_.Observe(Seconds(busy));
}

}  // namespace predictd
