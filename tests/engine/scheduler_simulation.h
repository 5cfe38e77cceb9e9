#ifndef PREDICTD_TESTS_ENGINE_SCHEDULER_SIMULATION_H_
#define PREDICTD_TESTS_ENGINE_SCHEDULER_SIMULATION_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "server/async/task.h"
#include "tests/engine/findings.h"
#include "tests/engine/simulated_request.h"
#include "tests/engine/simulated_scheduler.h"
#include "tests/engine/simulated_version.h"

namespace predictd {

// A random run of several models on simulated workers. Its options alone determine what it does.
//
// The runners and the fair queue are real. Time, workers and the models' computations are simulated: so a second of a
// busy server takes milliseconds, and everything can happen between any two steps. Single-threaded; runs once.
class SchedulerSimulation {
 public:
  // What may happen.
  enum Kind : uint32_t {
    kCancels = 1 << 0,
    kDeadlines = 1 << 1,
    // The timer of a deadline may fire late, because its event loop is busy.
    kLateTimers = 1 << 2,
    kFailures = 1 << 3,
    kNewVersions = 1 << 4,
    kPriorities = 1 << 5,
    // Requests have several rows, and shapes that cannot share a batch.
    kShapes = 1 << 6,
    kBursts = 1 << 7,
    // Requests are replaced as row streams do it.
    kReplacements = 1 << 8,
    kDelays = 1 << 9,
    kSmallQueues = 1 << 10,
    kSeveralModels = 1 << 11,
    kSeveralWorkers = 1 << 12,
    // Batches of one size do not always take the same time.
    kUnsteadyCosts = 1 << 13,
    kAll = (1 << 14) - 1,
  };

  struct Options {
    uint32_t seed = 0;
    int operations = 1000;
    uint32_t kinds = kAll;
    // The load as a fraction of what the workers can do; 0: chosen by the seed.
    double load = 0;
    // The time that every request leaves the server, in full batches; 0: chosen by the seed.
    int batches_to_deadline = 0;
  };

  struct Counts {
    int64_t sent = 0;
    int64_t ok = 0;
    int64_t failed = 0;
    int64_t cancelled = 0;
    int64_t full = 0;
    // Refused at once, because the deadline would be missed.
    int64_t refused = 0;
    // Admitted, but not answered in time.
    int64_t expired = 0;
    int64_t hopeless = 0;
    int64_t new_versions = 0;

    Counts& operator+=(const Counts& other);
  };

  explicit SchedulerSimulation(const Options& options);

  // The first finding; empty if there was none.
  std::string Run();
  const Counts& counts() const { return counts_; }

 private:
  // A model: what all its versions have in common, and the version that gets new requests.
  struct SimulatedModel {
    SimulatedVersion::Options options;
    Duration batch_cost{};
    Duration row_cost{};
    SimulatedVersion* newest = nullptr;
  };

  bool May(Kind kind) const { return (options_.kinds & kind) != 0; }
  // A random number from 0 to count - 1.
  int64_t Pick(int64_t count) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(count)); }
  bool OneIn(int64_t count) { return Pick(count) == 0; }
  Duration Random(Duration below) { return Duration(Pick(std::max<Duration::rep>(1, below.count()))); }

  void MakeModel();
  void StartVersion(SimulatedModel& model);
  Duration Cost(const SimulatedModel& model, int64_t rows);
  Duration MeanGap() const;

  void Operate();
  void SendNew();
  void Cancel();
  void Send(SimulatedVersion& version, SimulatedRequest& request);
  static Task<> Call(SchedulerSimulation& self, SimulatedVersion& version, SimulatedRequest& request,
                     std::shared_ptr<ModelRunner> runner);
  void Ended(SimulatedVersion& version, SimulatedRequest& request, const absl::StatusOr<InferenceResult>& result);
  void CheckAnswer(const SimulatedRequest& request, const InferenceResult& result);
  void CheckRefusal(SimulatedVersion& version, const SimulatedRequest& request, const absl::Status& status);
  void Follow(SimulatedVersion& version, const SimulatedRequest& request);

  const Options options_;
  std::mt19937_64 random_;
  Findings findings_;
  Counts counts_;
  SimulatedScheduler scheduler_;
  // The rough time of a row, to which all other times are proportional.
  Duration unit_;
  double load_ = 1;
  std::vector<SimulatedModel> models_;
  std::deque<SimulatedVersion> versions_;
  std::deque<SimulatedRequest> requests_;
  int operations_left_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_SCHEDULER_SIMULATION_H_
