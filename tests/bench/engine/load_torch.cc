// The opponent of `scripts/bench startup`: LibTorch reads models, one after the other, and nothing else.
//
//   bench_load_torch FILE...
//
// Prints `loaded` and ends, without taking down what it has loaded.

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/script.h>
#include <unistd.h>

#include <deque>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: bench_load_torch FILE...\n";
    return 2;
  }
  std::vector<torch::jit::Module> modules;
  std::deque<torch::inductor::AOTIModelPackageLoader> packages;
  for (int i = 1; i < argc; ++i) {
    const std::string file = argv[i];
    if (file.ends_with(".pt2")) {
      packages.emplace_back(file);
    } else {
      modules.push_back(torch::jit::load(file, c10::kCPU));
      modules.back().eval();
    }
  }
  std::cout << "loaded" << std::endl;
  _exit(0);
}
