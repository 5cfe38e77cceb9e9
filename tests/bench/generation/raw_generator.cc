// A generator's model.pt alone, in a loop, with nothing around it: what `scripts/bench generation` compares predictd
// with.
//
// Reads commands from its standard input, one line of JSON each, and prints a line for each:
//   {"prompts": [[1, 2, ...], ...], "tokens": 128}   the prompts, all of one length, at once, then greedily so many
//   tokens
//     -> {"seconds": ..., "prefill_seconds": ..., "tokens": [[...], ...]}
//   {"streams": 8, "context": 512, "seconds": 0.5}   steps of so many sequences with so much context, again and again
//     -> {"seconds_per_step": the median, "steps": ...}
//   {"score": [[1, 2, ...], ...], "file": PATH}   what follows each token of the texts, all of one length
//     -> {"vocabulary": N}, and in the file N logits, FP32, by token and then by text

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/script.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace predictd::bench {
namespace {

using Clock = std::chrono::steady_clock;

// What TorchScript's profiling executor needs before it has settled.
constexpr int kWarmUpSteps = 2;
constexpr size_t kLeastSteps = 3;
// Any value that is not zero: pages that were only read would all be the system's one page of zeros.
constexpr double kCached = 0.01;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class RawGenerator {
 public:
  explicit RawGenerator(const std::string& file) : module_(torch::jit::load(file, c10::kCPU)) { module_.eval(); }

  nlohmann::json Run(const nlohmann::json& command) {
    if (command.contains("score")) return Score(command);
    return command.contains("prompts") ? Generate(command) : Repeat(command);
  }

 private:
  c10::IValue Cache(int64_t slots, int64_t length) { return module_.get_method("make_cache")({slots, length}); }

  at::Tensor Logits(const at::Tensor& tokens, const at::Tensor& positions, const c10::IValue& cache) {
    return module_.forward({tokens, positions, int64_t{0}, cache}).toTensor();
  }

  // The likeliest token of each sequence.
  at::Tensor Next(const at::Tensor& tokens, const at::Tensor& positions, const c10::IValue& cache) {
    return Logits(tokens, positions, cache).argmax(1, /*keepdim=*/true);
  }

  // A row of tokens for each text.
  static at::Tensor Table(const nlohmann::json& texts) {
    const auto rows = texts.get<std::vector<std::vector<int64_t>>>();
    const auto length = static_cast<int64_t>(rows.at(0).size());
    at::Tensor table = at::empty({static_cast<int64_t>(rows.size()), length}, at::kLong);
    for (size_t i = 0; i < rows.size(); ++i) {
      TORCH_CHECK(static_cast<int64_t>(rows[i].size()) == length, "prompts must be of one length");
      std::copy(rows[i].begin(), rows[i].end(), table[static_cast<int64_t>(i)].mutable_data_ptr<int64_t>());
    }
    return table;
  }

  nlohmann::json Score(const nlohmann::json& command) {
    const at::Tensor texts = Table(command.at("score"));
    const int64_t streams = texts.size(0);
    const c10::IValue cache = Cache(streams, texts.size(1));
    std::ofstream file(command.at("file").get<std::string>(), std::ios::binary);
    int64_t vocabulary = 0;
    for (int64_t position = 0; position < texts.size(1); ++position) {
      const at::Tensor tokens = texts.slice(1, position, position + 1).contiguous();
      const at::Tensor positions = at::full({streams, 1}, position, at::kLong);
      const at::Tensor logits = Logits(tokens, positions, cache).to(at::kFloat).contiguous();
      vocabulary = logits.size(1);
      file.write(reinterpret_cast<const char*>(logits.const_data_ptr<float>()),
                 static_cast<std::streamsize>(logits.nbytes()));
    }
    file.close();
    TORCH_CHECK(file.good(), "the file cannot be written");
    return {{"vocabulary", vocabulary}};
  }

  nlohmann::json Generate(const nlohmann::json& command) {
    const at::Tensor prompt = Table(command.at("prompts"));
    const int64_t streams = prompt.size(0);
    const int64_t length = prompt.size(1);
    const int64_t count = command.at("tokens");
    const c10::IValue cache = Cache(streams, length + count);
    std::vector<at::Tensor> generated;
    const Clock::time_point start = Clock::now();
    const at::Tensor positions = at::arange(length).expand({streams, length}).contiguous();
    generated.push_back(Next(prompt, positions, cache));
    const double prefill = Since(start);
    for (int64_t position = length; position < length + count - 1; ++position) {
      generated.push_back(Next(generated.back(), at::full({streams, 1}, position, at::kLong), cache));
    }
    const double seconds = Since(start);
    const at::Tensor table = at::cat(generated, 1);
    std::vector<std::vector<int64_t>> tokens;
    for (int64_t i = 0; i < streams; ++i) {
      const at::Tensor row = table[i].contiguous();
      tokens.emplace_back(row.const_data_ptr<int64_t>(), row.const_data_ptr<int64_t>() + count);
    }
    return {{"seconds", seconds}, {"prefill_seconds", prefill}, {"tokens", tokens}};
  }

  nlohmann::json Repeat(const nlohmann::json& command) {
    const int64_t streams = command.at("streams");
    const int64_t context = command.at("context");
    const double seconds = command.at("seconds");
    if (streams > cached_streams_ || context != cached_context_) {
      cache_ = {};
      cache_ = Cache(streams, context);
      for (const at::Tensor& layer : cache_.toTensorVector()) layer.fill_(kCached);
      cached_streams_ = streams;
      cached_context_ = context;
    }
    const at::Tensor tokens = at::zeros({streams, 1}, at::kLong);
    const at::Tensor positions = at::full({streams, 1}, context - 1, at::kLong);
    for (int i = 0; i < kWarmUpSteps; ++i) Next(tokens, positions, cache_);
    std::vector<double> steps;
    const Clock::time_point start = Clock::now();
    while (steps.size() < kLeastSteps || Since(start) < seconds) {
      const Clock::time_point before = Clock::now();
      Next(tokens, positions, cache_);
      steps.push_back(Since(before));
    }
    const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
    std::nth_element(steps.begin(), middle, steps.end());
    return {{"seconds_per_step", *middle}, {"steps", steps.size()}};
  }

  torch::jit::Module module_;
  // Of Repeat, kept because touching gigabytes for the first time takes longer than the steps.
  c10::IValue cache_;
  int64_t cached_streams_ = 0;
  int64_t cached_context_ = 0;
};

int Main(int argc, char** argv) {
  std::string model;
  int threads = 1;
  CLI::App app("Runs a generator's TorchScript module in a loop, as the JSON lines on its standard input say.");
  app.add_option("--model", model, "model.pt")->required();
  app.add_option("--threads", threads, "Intra-op threads")->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);

  at::set_num_threads(threads);
  const c10::InferenceMode inference_mode;
  try {
    RawGenerator generator(model);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << generator.Run(nlohmann::json::parse(line)).dump() << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "bench_raw_generator: " << error.what() << '\n';
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace predictd::bench

int main(int argc, char** argv) {
  return predictd::bench::Main(argc, argv);
}
