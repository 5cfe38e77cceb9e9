// The load of the engine's benchmarks: offers Predict calls to a server and prints what became of them as JSON.
//
// Open loop (--rate): Poisson arrivals that the clock schedules, whatever the server does; latency counts from the
// scheduled start, so a server that holds up its callers cannot hide it. Closed loop (--in-flight): a constant number
// of calls.

#include <absl/synchronization/mutex.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/engine/known_calls.h"
#include "tests/bench/engine/load_run.h"

namespace predictd::bench {
namespace {

Clock::duration FromSeconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// The least value that at least this share of the values does not exceed.
double Quantile(const std::vector<double>& ordered, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(ordered.size())));
  return ordered[std::min(std::max<size_t>(rank, 1), ordered.size()) - 1];
}

nlohmann::json Quantiles(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  return {{"p50", Quantile(values, 0.5)},
          {"p90", Quantile(values, 0.9)},
          {"p99", Quantile(values, 0.99)},
          {"max", values.back()}};
}

nlohmann::json Report(const LoadOptions& options, const LoadOutcome& outcome) {
  return {
      {"asked_rate", options.rate},
      {"seconds", std::chrono::duration<double>(options.duration).count()},
      {"sent", outcome.sent},
      {"codes", outcome.codes},
      {"in_time", outcome.in_time},
      {"late", outcome.late},
      {"wrong", outcome.wrong},
      {"unfinished", outcome.unfinished},
      {"ok_in_window", outcome.ok_in_window},
      {"ok_us", Quantiles(outcome.ok_us)},
      {"refused_us", Quantiles(outcome.refused_us)},
      {"send_late_us", Quantiles(outcome.send_late_us)},
      {"client_cpu_seconds", outcome.client_cpu_seconds},
      {"server_cpu_seconds", outcome.server_cpu_seconds},
  };
}

int Main(int argc, char** argv) {
  LoadOptions options;
  std::string file;
  double deadline_ms = 0;
  double warm_up_seconds = 0;
  double seconds = 1;
  double patience_seconds = 10;
  CLI::App app("Offers Predict calls to a server, open or closed loop, and prints what became of them as JSON.");
  app.add_option("--address", options.address, "HOST:PORT")->required();
  app.add_option("--calls", file, "Requests and their right answers (known_calls.h); made in turn")->required();
  auto* rate =
      app.add_option("--rate", options.rate, "Open loop: calls per second, Poisson")->check(CLI::PositiveNumber);
  app.add_option("--in-flight", options.in_flight, "Closed loop: calls in flight")
      ->check(CLI::PositiveNumber)
      ->excludes(rate);
  app.add_option("--connections", options.connections, "Connections, used in turn")->check(CLI::PositiveNumber);
  app.add_option("--deadline-ms", deadline_ms, "Each call's, from its intended start; 0: none")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--warm-up", warm_up_seconds, "Seconds of load before the measurement")->check(CLI::NonNegativeNumber);
  app.add_option("--seconds", seconds, "Seconds of measurement")->check(CLI::PositiveNumber);
  app.add_option("--patience", patience_seconds, "Seconds that unfinished calls get after the load and the deadline")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", options.seed, "Of the arrival times");
  app.add_option("--server-pid", options.server_pid, "The process whose CPU time to report");
  CLI11_PARSE(app, argc, argv);
  options.deadline = FromSeconds(deadline_ms / 1000);
  options.warm_up = FromSeconds(warm_up_seconds);
  options.duration = FromSeconds(seconds);
  options.patience = FromSeconds(patience_seconds);

  const absl::StatusOr<std::vector<KnownCall>> calls = ReadKnownCalls(file);
  if (!calls.ok()) {
    std::cerr << "bench_load_generator: " << calls.status().message() << '\n';
    return 1;
  }
  LoadRun run(options, *calls);
  if (!run.Run()) {
    std::cerr << "bench_load_generator: no connection to " << options.address << '\n';
    return 1;
  }
  std::cout << Report(options, run.outcome()).dump() << '\n';
  return 0;
}

}  // namespace
}  // namespace predictd::bench

int main(int argc, char** argv) {
  // Debian's Abseil checks every lock for deadlock cycles, inside gRPC too: CPU time that the server needs.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return predictd::bench::Main(argc, argv);
}
