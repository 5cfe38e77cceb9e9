// The opponent of `scripts/bench memory`: LibTorch, one TorchScript model and some threads, and nothing else.
//
//   bench_idle_torch MODEL.pt RUNNERS IDLERS
//
// Loads the model as predictd does and has each of RUNNERS threads warm it up on rows of 64 floats, as predictd's
// workers do. IDLERS are threads that only exist. Prints `ready`, and ends on SIGTERM.

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <signal.h>
#include <torch/script.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int64_t kWidth = 64;
constexpr int64_t kLargestBatch = 64;
// The profiling executor wants a few runs.
constexpr int kWarmUpRuns = 3;

void WarmUp(torch::jit::Module& module) {
  at::set_num_threads(1);
  const c10::InferenceMode inference_mode;
  for (const int64_t rows : {int64_t{1}, kLargestBatch}) {
    for (int run = 0; run < kWarmUpRuns; ++run) module.forward({torch::zeros({rows, kWidth})});
  }
}

int Run(const std::string& file, int runners, int idlers) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  torch::jit::Module module = torch::jit::load(file, c10::kCPU);
  module.eval();
  std::latch warm(runners + 1);
  std::latch stop(1);
  std::vector<std::jthread> threads;
  for (int i = 0; i < runners; ++i) {
    threads.emplace_back([&] {
      WarmUp(module);
      warm.count_down();
      stop.wait();
    });
  }
  for (int i = 0; i < idlers; ++i) threads.emplace_back([&] { stop.wait(); });
  warm.arrive_and_wait();
  std::cout << "ready" << std::endl;

  int signal = 0;
  sigwait(&signals, &signal);
  stop.count_down();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: bench_idle_torch MODEL.pt RUNNERS IDLERS\n";
    return 2;
  }
  return Run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]));
}
