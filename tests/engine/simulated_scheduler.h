#ifndef PREDICTD_TESTS_ENGINE_SIMULATED_SCHEDULER_H_
#define PREDICTD_TESTS_ENGINE_SIMULATED_SCHEDULER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "server/async/fair_queue.h"
#include "server/async/worker_pool.h"
#include "tests/engine/findings.h"
#include "tests/fakes/manual_clock.h"

namespace predictd {

// The workers of a simulation: the real FairQueue, a clock that moves from one event to the next, and workers that are
// not threads. A computation calls AdvanceTo, and everything that happens meanwhile happens inside of that call:
// events, and the steps of the other workers. A step that begins inside another one also ends there; if it takes
// longer, so does the outer one.
//
// With one worker it checks that sources get time by weight. Not thread-safe.
class SimulatedScheduler final : public WorkScheduler {
 public:
  // `findings` outlives the scheduler. `on_idle` is called whenever no step is left that a free worker could take.
  SimulatedScheduler(int workers, int64_t max_steps, Findings& findings, std::function<void()> on_idle);

  const Clock& clock() const { return clock_; }
  TimePoint now() const { return clock_.Now(); }
  int workers() const { return workers_; }

  void Ready(std::shared_ptr<WorkSource> source) override;
  void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) override;
  double WorkersFor(const WorkSource& source) const override { return queue_.PartOf(source) * workers_; }

  // To be called before a source is first ready.
  void SetWeight(const WorkSource& source, double weight) { weights_[&source] = weight; }

  // Calls the function at that time.
  void At(TimePoint when, std::function<void()> function);

  // Lets time pass until `end`.
  void AdvanceTo(TimePoint end);
  // Lets time pass until nothing is left to happen.
  void Finish();

  // Whether the fair queue holds no source.
  bool quiet() const;

 private:
  struct Event {
    TimePoint when;
    int64_t sequence = 0;
    std::function<void()> function;
    bool operator>(const Event& other) const {
      return std::pair(when, sequence) > std::pair(other.when, other.sequence);
    }
  };
  // A source that is in the queue or runs. Times are divided by its weight.
  struct Active {
    double weight = 1;
    double served = 0;
    // The time that each source that was already active had been served when this one became active.
    std::map<const WorkSource*, double> others_had = {};
    bool ready = false;
    bool running = false;
  };

  void RunSteps();
  void RunStep();
  void BecomeReady(const WorkSource& source);
  void Served(const WorkSource& source, Duration took);
  void CheckShares();
  void FireNext();

  const int workers_;
  Findings& findings_;
  const std::function<void()> on_idle_;
  ManualClock clock_;
  FairQueue queue_;
  int busy_ = 0;
  int64_t steps_left_;
  int64_t next_sequence_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::map<const WorkSource*, double> weights_;
  // Used only with one worker.
  std::map<const WorkSource*, Active> active_;
  double longest_step_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_SIMULATED_SCHEDULER_H_
