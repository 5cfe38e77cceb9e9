#ifndef PREDICTD_TESTS_BENCH_GENERATION_PLAN_RUN_H_
#define PREDICTD_TESTS_BENCH_GENERATION_PLAN_RUN_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "predictd/v1/prediction_service.grpc.pb.h"

namespace predictd::bench {

// What a caller asks for: that many tokens, whatever they are, after a prompt.
struct PlannedRequest {
  size_t prompt = 0;
  int64_t tokens = 0;
};

// A caller: it comes so many seconds after the run's beginning and makes its requests one after the other.
struct Lane {
  double start = 0;
  std::vector<PlannedRequest> requests;
};

// Who asks for what, and when.
struct Plan {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<Lane> lanes;
  // 0 is greedy.
  double temperature = 0;
};

// What became of a request. Times are in seconds from the run's beginning.
struct Answer {
  size_t lane = 0;
  size_t request = 0;
  // When it was to begin: at its lane's start, or when its predecessor ended.
  double due = 0;
  // One for each token: when its message arrived.
  std::vector<double> times;
  std::vector<int32_t> tokens;
  // The name of the call's status code, and, if it is not OK, what the server said.
  std::string status;
  int64_t prompt_tokens = 0;
  int64_t cached_prompt_tokens = 0;
};

// Carries out the plan on a generator, all calls on one connection, and returns when all have ended. One thread, the
// caller's: a client must cost little where it shares the cores with the server. No prompt is taken over from earlier
// requests.
std::vector<Answer> RunPlan(v1::PredictionService::Stub& stub, const std::string& model, const Plan& plan);

}  // namespace predictd::bench

#endif  // PREDICTD_TESTS_BENCH_GENERATION_PLAN_RUN_H_
