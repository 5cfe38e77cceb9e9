// The client of `scripts/bench generation`: callers of a generator, as a plan says, and when each token came.
//
// Reads plans from its standard input, one line of JSON each:
//   {"prompts": [[1, 2, ...], ...], "lanes": [{"start": 0.0, "requests": [[PROMPT, TOKENS], ...]}, ...],
//    "temperature": 0.0}
// carries each out, and prints a line:
//   {"answers": [{"lane", "request", "due", "times", "tokens", "status", "prompt_tokens", "cached_prompt_tokens"},
//   ...],
//    "client_cpu_seconds": ...}

#include <grpcpp/grpcpp.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/bench/generation/plan_run.h"

namespace predictd::bench {
namespace {

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Throws if that is no plan.
Plan ReadPlan(const std::string& line) {
  const nlohmann::json read = nlohmann::json::parse(line);
  Plan plan{.prompts = read.at("prompts").get<std::vector<std::vector<int32_t>>>(),
            .lanes = {},
            .temperature = read.at("temperature")};
  for (const nlohmann::json& lane : read.at("lanes")) {
    plan.lanes.push_back({.start = lane.at("start"), .requests = {}});
    for (const nlohmann::json& request : lane.at("requests")) {
      plan.lanes.back().requests.push_back({.prompt = request.at(0), .tokens = request.at(1)});
      if (plan.lanes.back().requests.back().prompt >= plan.prompts.size()) throw std::out_of_range("no such prompt");
    }
    if (plan.lanes.back().requests.empty()) throw std::out_of_range("a lane without requests");
  }
  return plan;
}

nlohmann::json Report(const Answer& answer) {
  return {{"lane", answer.lane},
          {"request", answer.request},
          {"due", answer.due},
          {"times", answer.times},
          {"tokens", answer.tokens},
          {"status", answer.status},
          {"prompt_tokens", answer.prompt_tokens},
          {"cached_prompt_tokens", answer.cached_prompt_tokens}};
}

int Main(int argc, char** argv) {
  std::string address;
  std::string model;
  CLI::App app("Carries out plans of requests to a generator, read as JSON lines, and prints when each token came.");
  app.add_option("--address", address, "HOST:PORT of the server")->required();
  app.add_option("--model", model, "The generator's name")->required();
  CLI11_PARSE(app, argc, argv);

  const auto stub = v1::PredictionService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  for (std::string line; std::getline(std::cin, line);) {
    try {
      const Plan plan = ReadPlan(line);
      const double before = CpuSeconds();
      nlohmann::json answers = nlohmann::json::array();
      const std::vector<Answer> run = RunPlan(*stub, model, plan);
      const double cpu = CpuSeconds() - before;
      for (const Answer& answer : run) answers.push_back(Report(answer));
      std::cout << nlohmann::json{{"answers", answers}, {"client_cpu_seconds", cpu}}.dump() << std::endl;
    } catch (const std::exception& error) {
      std::cerr << "bench_generation_load: " << error.what() << '\n';
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace predictd::bench

int main(int argc, char** argv) {
  return predictd::bench::Main(argc, argv);
}
