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

// A random run of several models on simulated workers. What it does follows from its options alone.
//
// The runners and the fair queue are real. Time, workers and what the models compute are not; so a second of a busy
// server takes milliseconds, and everything can happen between any two steps. Single-threaded; runs once.
class SchedulerSimulation {
 public:
  // What may happen.
  enum Kind : uint32_t {
    kCancels = 1 << 0,
    kDeadlines = 1 << 1,
    // The timer of a deadline may fire later: its event loop is busy.
    kLateTimers = 1 << 2,
    kFailures = 1 << 3,
    kNewVersions = 1 << 4,
    kPriorities = 1 << 5,
    // Several rows, and shapes that cannot share a batch.
    kShapes = 1 << 6,
    kBursts = 1 << 7,
    // As row streams do it.
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
    // Of what the workers can do, what is asked for; 0: by seed.
    double load = 0;
    // Every request leaves the server the time of so many full batches; 0: by seed.
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
    // Admitted, and not answered in time.
    int64_t expired = 0;
    int64_t hopeless = 0;
    int64_t new_versions = 0;

    Counts& operator+=(const Counts& other);
  };

  explicit SchedulerSimulation(const Options& options);

  // What was wrong; empty if nothing was.
  std::string Run();
  const Counts& counts() const { return counts_; }

 private:
  // A model: what all its versions have, and the one that gets new requests.
  struct SimulatedModel {
    SimulatedVersion::Options options;
    Duration batch_cost{};
    Duration row_cost{};
    SimulatedVersion* newest = nullptr;
  };

  bool May(Kind kind) const { return (options_.kinds & kind) != 0; }
  // 0 to count - 1.
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
  // What a row takes, roughly; everything else is in proportion.
  Duration unit_;
  double load_ = 1;
  std::vector<SimulatedModel> models_;
  std::deque<SimulatedVersion> versions_;
  std::deque<SimulatedRequest> requests_;
  int operations_left_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_SCHEDULER_SIMULATION_H_
