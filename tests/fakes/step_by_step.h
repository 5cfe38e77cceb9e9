#ifndef PREDICTD_TESTS_FAKES_STEP_BY_STEP_H_
#define PREDICTD_TESTS_FAKES_STEP_BY_STEP_H_

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "server/async/worker_pool.h"

namespace predictd {

// A scheduler that does nothing by itself: the test takes the steps, of each source that is ready in turn. Not
// thread-safe.
class StepByStep final : public WorkScheduler {
 public:
  void Ready(std::shared_ptr<WorkSource> source) override {
    if (std::find(ready_.begin(), ready_.end(), source) == ready_.end()) ready_.push_back(std::move(source));
  }
  void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint /*when*/) override { Ready(std::move(source)); }
  double WorkersFor(const WorkSource& /*source*/) const override { return 1; }

  // Whether there was a step to take.
  bool Step() {
    if (ready_.empty()) return false;
    const std::shared_ptr<WorkSource> source = std::move(ready_.front());
    ready_.pop_front();
    source->RunStep();
    return true;
  }
  void Finish() {
    while (Step()) {
    }
  }

 private:
  std::deque<std::shared_ptr<WorkSource>> ready_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_STEP_BY_STEP_H_
