// Makes one traced call with its four phases and sends it to the OTLP/gRPC endpoint given as the first argument. Prints
// the trace id; the status of the shutdown decides the exit code.

#include <chrono>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/telemetry/log.h"
#include "server/telemetry/tracing.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: otlp_emit http://host:port\n";
    return 2;
  }
  absl::StatusOr<std::unique_ptr<predictd::Tracer>> tracer =
      predictd::Tracer::Create({.exporter = predictd::TraceExporter::kOtlpGrpc,
                                .otlp_endpoint = argv[1],
                                .sample_ratio = 0,
                                .service_instance_id = "replica-1",
                                .export_timeout = absl::Seconds(5)});
  if (!tracer.ok()) {
    std::cerr << tracer.status() << "\n";
    return 2;
  }
  // 2026-01-02T03:04:05Z, so that the receiver can check the times.
  const std::chrono::system_clock::time_point system_start{std::chrono::seconds(1767323045)};
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const auto at = [start](int ms) { return start + std::chrono::milliseconds(ms); };
  const std::unique_ptr<predictd::CallSpan> call =
      (*tracer)->StartCall({.rpc_service = "predictd.v1.PredictionService",
                            .rpc_method = "Predict",
                            .peer = [] { return "ipv6:%5B::1%5D:40000"; },
                            .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                            .tracestate = "vendor=value",
                            .system_time = system_start,
                            .steady_time = start});
  if (call == nullptr) return 1;
  call->SetAttribute("predictd.model", "digits");
  call->AddPhase("decode", at(0), at(1));
  call->AddPhase("queue", at(1), at(4));
  call->AddPhase("forward", at(4), at(9), {{"predictd.batch_size", 8}});
  call->AddPhase("respond", at(9), at(10));
  call->AddEvent("deadline exceeded");
  call->End(4, "the deadline passed while queued");
  std::cout << call->trace_id() << std::endl;
  const absl::Status status = (*tracer)->Shutdown(absl::Seconds(15));
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
