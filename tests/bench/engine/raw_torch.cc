// The opponent of `scripts/bench batching`: LibTorch alone, in a loop, with nothing around it.
//
// Loads a TorchScript model as predictd does (eval, inference mode, one intra-op thread for each thread) and
// runs it at each of the given batch sizes on several threads at once. Prints JSON: for each batch size, rows per
// second and per CPU second.

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <time.h>
#include <torch/script.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace predictd::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What TorchScript's profiling executor needs before it has settled on a shape.
constexpr int kWarmUpRuns = 5;

struct Options {
  std::string model;
  std::string dtype;
  std::vector<int64_t> row_shape;
  std::vector<int64_t> batch_sizes = {1, 2, 4, 8, 16, 32, 64};
  int threads = 1;
  double seconds = 1;
};

struct Result {
  double rows_per_second = 0;
  double rows_per_cpu_second = 0;
  // How long one batch takes while the other threads run theirs.
  double seconds_per_batch = 0;
};

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

at::Tensor MakeInput(const Options& options, int64_t rows) {
  std::vector<int64_t> shape = {rows};
  shape.insert(shape.end(), options.row_shape.begin(), options.row_shape.end());
  return options.dtype == "INT64" ? at::randint(0, 1000, shape, at::kLong) : at::rand(shape);
}

Result Measure(const torch::jit::Module& module, const Options& options, int64_t rows) {
  // One for each thread. A rate of its own, because the threads do not end together: none waits for the last batch of
  // another.
  std::vector<double> seconds_per_batch(static_cast<size_t>(options.threads));
  std::atomic<int64_t> batches{0};
  double cpu_before = 0;
  Clock::time_point start;
  std::barrier warm(options.threads, [&]() noexcept {
    cpu_before = CpuSeconds();
    start = Clock::now();
  });
  {
    std::vector<std::jthread> threads;
    for (double& result : seconds_per_batch) {
      threads.emplace_back([&] {
        at::set_num_threads(1);
        const c10::InferenceMode inference_mode;
        const at::Tensor input = MakeInput(options, rows);
        const torch::jit::Method forward = module.get_method("forward");
        for (int run = 0; run < kWarmUpRuns; ++run) forward({input});
        warm.arrive_and_wait();
        int64_t done = 0;
        double seconds = 0;
        while (seconds < options.seconds) {
          forward({input});
          ++done;
          seconds = std::chrono::duration<double>(Clock::now() - start).count();
        }
        result = seconds / static_cast<double>(done);
        batches += done;
      });
    }
  }
  const auto rows_in_batch = static_cast<double>(rows);
  Result total;
  total.rows_per_cpu_second = rows_in_batch * static_cast<double>(batches) / (CpuSeconds() - cpu_before);
  for (const double seconds : seconds_per_batch) {
    total.rows_per_second += rows_in_batch / seconds;
    total.seconds_per_batch += seconds / options.threads;
  }
  return total;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs a TorchScript model in a loop and prints rows per second for each batch size as JSON.");
  app.add_option("--model", options.model, "model.pt")->required();
  app.add_option("--dtype", options.dtype, "Of its one input")->required()->check(CLI::IsMember({"FP32", "INT64"}));
  app.add_option("--row-shape", options.row_shape, "The input's shape without the batch dimension")
      ->required()
      ->delimiter('x');
  app.add_option("--batch-sizes", options.batch_sizes, "Rows in a batch")->delimiter(',')->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "Threads, each with one intra-op thread")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", options.seconds, "For each batch size")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  torch::jit::Module module = torch::jit::load(options.model, c10::kCPU);
  module.eval();
  nlohmann::json report = nlohmann::json::object();
  for (const int64_t rows : options.batch_sizes) {
    const Result result = Measure(module, options, rows);
    report[std::to_string(rows)] = {{"rows_per_second", result.rows_per_second},
                                    {"rows_per_cpu_second", result.rows_per_cpu_second},
                                    {"seconds_per_batch", result.seconds_per_batch}};
  }
  std::cout << report.dump() << '\n';
  return 0;
}

}  // namespace
}  // namespace predictd::bench

int main(int argc, char** argv) {
  return predictd::bench::Main(argc, argv);
}
