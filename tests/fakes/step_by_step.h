#ifndef PREDICTD_TESTS_FAKES_STEP_BY_STEP_H_
#define PREDICTD_TESTS_FAKES_STEP_BY_STEP_H_

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "server/async/worker_pool.h"

namespace predictd {

// A scheduler that does nothing by itself: the test takes the steps, in turn from each source that is ready. Not
// thread-safe.
class StepByStep final : public WorkScheduler {
 public:
  void Ready(std::shared_ptr<WorkSource> source) override {
    if (std::find(ready_.begin(), ready_.end(), source) == ready_.end()) ready_.push_back(std::move(source));
  }
  // Only records the time. A test that waits for that time takes the step itself.
  void ReadyAt(std::shared_ptr<WorkSource> /*source*/, TimePoint when) override { later_.push_back(when); }
  double WorkersFor(const WorkSource& /*source*/) const override { return 1; }

  // The times that ReadyAt was called with.
  const std::vector<TimePoint>& later() const { return later_; }

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
  std::vector<TimePoint> later_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_STEP_BY_STEP_H_
