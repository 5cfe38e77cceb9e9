#ifndef PREDICTD_TESTS_ENGINE_SIMULATED_REQUEST_H_
#define PREDICTD_TESTS_ENGINE_SIMULATED_REQUEST_H_

#include <cstdint>

#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/engine/model_runner.h"
#include "tests/fakes/tensors.h"

namespace predictd {

// A request of a simulation: what it asks for, and its progress.
struct SimulatedRequest {
  enum class State { kArriving, kWaiting, kRunning, kEnded };

  // Also the order of arrival, and the value of the request's elements.
  int64_t id = 0;
  int64_t rows = 1;
  // Extent of the second dimension: only requests of equal width share a batch.
  int64_t width = 1;
  TimePoint deadline = kNever;
  int64_t priority = kDefaultPriority;
  Admission admission = Admission::kIfRoom;
  // Whether the model fails if the request is in the batch.
  bool poisonous = false;
  // How many requests follow it as its replacements.
  int64_t followers = 0;

  State state = State::kArriving;
  TimePoint arrived;
  // When the last run with this request began, and whether the request was alone in it.
  TimePoint started;
  bool ran_alone = false;
  bool cancelled = false;
  int ends = 0;
  StopSource stop;

  int64_t bytes() const { return rows * width * static_cast<int64_t>(sizeof(float)); }
  // Its place according to JobQueue's comment.
  TimePoint due() const { return WaitingPlace(deadline, priority, arrived); }
  InferenceRequest Make() const {
    InferenceRequest request;
    request.inputs.push_back(Floats({rows, width}, std::vector<float>(rows * width, static_cast<float>(id))));
    request.rows = rows;
    request.deadline = deadline;
    request.priority = priority;
    return request;
  }
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_SIMULATED_REQUEST_H_
