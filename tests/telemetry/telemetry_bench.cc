// What telemetry costs a call: run telemetry_bench.

#include <benchmark/benchmark.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "server/telemetry/metrics.h"
#include "server/telemetry/tracing.h"

namespace predictd {
namespace {

std::unique_ptr<Tracer> MakeTracer(TraceOptions options) {
  absl::StatusOr<std::unique_ptr<Tracer>> tracer = Tracer::Create(options);
  return *std::move(tracer);
}

CallSpanStart StartOf(std::chrono::steady_clock::time_point now, std::string_view traceparent) {
  return {.rpc_service = "predictd.v1.PredictionService",
          .rpc_method = "Predict",
          .peer = [] { return "ipv4:10.0.0.7:51234"; },
          .traceparent = traceparent,
          .system_time = std::chrono::system_clock::time_point(std::chrono::seconds(1767323045)),
          .steady_time = now};
}

constexpr std::string_view kNotSampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

void BM_StartCallUnsampled(benchmark::State& state) {
  const std::unique_ptr<Tracer> tracer =
      MakeTracer({.exporter = TraceExporter::kOtlpGrpc, .otlp_endpoint = "http://127.0.0.1:1", .sample_ratio = 0});
  const CallSpanStart start = StartOf(std::chrono::steady_clock::now(), state.range(0) == 1 ? kNotSampled : "");
  for (auto _ : state) benchmark::DoNotOptimize(tracer->StartCall(start));
  state.SetLabel(state.range(0) == 1 ? "by the parent" : "by the ratio");
}
BENCHMARK(BM_StartCallUnsampled)->Arg(0)->Arg(1);

void BM_SampledCallWithFourPhases(benchmark::State& state) {
  const std::string file = std::filesystem::temp_directory_path() / "telemetry_bench.json";
  const std::unique_ptr<Tracer> tracer =
      MakeTracer({.exporter = TraceExporter::kFile, .file = file, .max_file_bytes = 0, .sample_ratio = 1});
  const std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
  for (auto _ : state) {
    const std::unique_ptr<CallSpan> call = tracer->StartCall(StartOf(now, ""));
    for (const std::string_view phase : {"decode", "queue", "forward", "respond"}) {
      call->AddPhase(phase, now, now + std::chrono::milliseconds(1));
    }
    call->End(0, "");
  }
  std::filesystem::remove(file);
}
BENCHMARK(BM_SampledCallWithFourPhases);

void BM_CounterIncrement(benchmark::State& state) {
  static Counter counter;
  for (auto _ : state) counter.Increment();
}
BENCHMARK(BM_CounterIncrement)->Threads(1)->Threads(2);

void BM_HistogramObserve(benchmark::State& state) {
  static Histogram histogram(ExponentialBounds(0.0001, 2, 20));
  double value = 0.0001;
  for (auto _ : state) {
    histogram.Observe(value);
    value = value > 10 ? 0.0001 : value * 1.1;
  }
}
BENCHMARK(BM_HistogramObserve)->Threads(1)->Threads(2);

void BM_Exposition(benchmark::State& state) {
  MetricsRegistry registry;
  auto& family = registry.AddHistogram("h_seconds", "", ExponentialBounds(0.0001, 2, 20), {"model"});
  for (int i = 0; i < 20; ++i) family.With({std::to_string(i)}).Observe(1);
  for (auto _ : state) benchmark::DoNotOptimize(registry.ExpositionText());
}
BENCHMARK(BM_Exposition);

}  // namespace
}  // namespace predictd
