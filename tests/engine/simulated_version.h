#ifndef PREDICTD_TESTS_ENGINE_SIMULATED_VERSION_H_
#define PREDICTD_TESTS_ENGINE_SIMULATED_VERSION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/findings.h"
#include "tests/engine/simulated_request.h"
#include "tests/engine/simulated_scheduler.h"

namespace predictd {

// One version of a simulated model: the real runner, the fake model in it, and a plain record of the waiting requests,
// against which everything that the runner does is checked. Owned by the simulation, outlives the runner.
class SimulatedVersion final : public RunnerObserver {
 public:
  struct Options {
    int64_t max_rows = 8;
    JobQueue::Options queue = {};
    WorkSource::Share share = {};
  };
  struct Host {
    SimulatedScheduler& scheduler;
    Findings& findings;
    // Returns the request with that id.
    std::function<SimulatedRequest&(int64_t)> request;
    // Returns the time of a run with that many rows.
    std::function<Duration(int64_t)> cost;
  };

  SimulatedVersion(const Options& options, Host host);

  // Lets the runner go; its pending requests keep it alive.
  void Retire() { runner_ = nullptr; }
  // Null after Retire.
  const std::shared_ptr<ModelRunner>& runner() const { return runner_; }

  bool HasRoomFor(const SimulatedRequest& request) const;
  // Records that the request was admitted.
  void Enter(SimulatedRequest& request);
  // Records that the request ended while it waited.
  void Leave(const SimulatedRequest& request);
  // The expected message of a refusal because of a full queue.
  std::string FullMessage() const;

  // Checks that no request waits here that an idle worker should have taken.
  void CheckIdle();
  // Checks the state after all requests have ended.
  void CheckEnd();

  // RunnerObserver, called by the runner.
  void OnQueuedChange(int64_t by) override;
  void OnRunningChange(int64_t by) override;
  void OnBatch(int64_t rows, Duration compute) override;
  void OnDequeued(Duration waited) override;

 private:
  class FakeModel;
  using Place = std::pair<TimePoint, int64_t>;
  using Batch = std::vector<SimulatedRequest*>;

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs);
  // The requests whose rows these are, as far as they are complete.
  Batch MembersOf(const Tensor& input);
  void CheckFirstRun(const Batch& batch, int64_t rows);
  void Erase(const SimulatedRequest& request);
  // The first request that waits, of all widths; null if none does.
  const SimulatedRequest* First() const;
  void Expect(bool holds, const char* what) { host_.findings.Expect(holds, what); }

  const Options options_;
  const Host host_;
  std::shared_ptr<ModelRunner> runner_;

  // The waiting requests by width, and all of them by arrival.
  std::map<int64_t, std::set<Place>> waiting_;
  std::set<int64_t> ids_;
  int64_t bytes_ = 0;
  // Requests from this id on arrived after the runner had taken what it runs next.
  int64_t came_later_ = 0;
  int64_t last_id_ = 0;

  int64_t queued_ = 0;
  int64_t running_ = 0;
  int runs_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_SIMULATED_VERSION_H_
