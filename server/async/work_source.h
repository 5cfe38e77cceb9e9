#ifndef PREDICTD_SERVER_ASYNC_WORK_SOURCE_H_
#define PREDICTD_SERVER_ASYNC_WORK_SOURCE_H_

#include <memory>

#include "server/async/clock.h"

namespace predictd {

// Something that has work for the pool in steps: a model with a queue of requests, or a generator with running
// sequences.
class WorkSource {
 public:
  struct Share {
    // The source's share of the workers' time while other sources want it, too, relative to their weights.
    double weight = 1;
    // How many steps may run at once; 0 means as many as there are workers.
    int max_concurrency = 0;
    // The cores of how many workers a step takes; more than 1 if it computes with several threads.
    int workers_per_step = 1;
  };

  WorkSource() = default;
  explicit WorkSource(Share share) : share_(share) {}
  virtual ~WorkSource() = default;
  WorkSource(const WorkSource&) = delete;
  WorkSource& operator=(const WorkSource&) = delete;

  // Takes and does one step (a batch). Called on a worker, possibly on several at once. If more work is waiting, it
  // calls WorkerPool::Ready before it starts to compute, so that an idle worker can join in.
  virtual void RunStep() = 0;

  // About how long the next step will take. A step of unknown length counts as long.
  virtual Duration StepCost() const { return Duration::max(); }

  // Whether the next step may run on an event loop, which nothing may hold up. It may do so only if it is known to take
  // about what StepCost says, and not merely estimated from earlier steps.
  virtual bool MayRunOnLoop() const { return false; }

 protected:
  // Makes the source's steps run one at a time, whatever its share says. To be called before its first step.
  void LimitToOneStep() { share_.max_concurrency = 1; }

 private:
  friend class FairQueue;

  // Constant once the source has steps.
  Share share_;
  // These are guarded by whatever guards the queue.
  bool listed_ = false;
  // The next source in the list.
  std::shared_ptr<WorkSource> next_;
  int running_ = 0;
  // Whether none of its steps was ever taken.
  bool is_newcomer_ = true;
  // The time that the source has had, divided by its weight.
  double virtual_nanos_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_WORK_SOURCE_H_
