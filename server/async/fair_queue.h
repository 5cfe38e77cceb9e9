#ifndef PREDICTD_SERVER_ASYNC_FAIR_QUEUE_H_
#define PREDICTD_SERVER_ASYNC_FAIR_QUEUE_H_

#include <memory>

#include "server/async/clock.h"

namespace predictd {

// Something that has work for the pool, in steps: a model with a queue of requests, a generator with running sequences.
class WorkSource {
 public:
  struct Share {
    // Of the workers' time while others want it too, relative to theirs.
    double weight = 1;
    // Steps that may run at once; 0: as many as there are workers.
    int max_concurrency = 0;
    // Of how many workers a step takes the cores: more than 1 if it computes with several threads.
    int workers_per_step = 1;
  };

  WorkSource() = default;
  explicit WorkSource(Share share) : share_(share) {}
  virtual ~WorkSource() = default;
  WorkSource(const WorkSource&) = delete;
  WorkSource& operator=(const WorkSource&) = delete;

  // Takes and does one step (a batch). Called on a worker, possibly on several at once. If more is waiting it calls
  // WorkerPool::Ready before it starts to compute, so that an idle worker can join in.
  virtual void RunStep() = 0;

  // About how long the next step will take. What is not known is long.
  virtual Duration StepCost() const { return Duration::max(); }

  // Whether the next step may run on an event loop, which nothing may hold: only if it is known, and not from what ran
  // before, that it takes about what StepCost says.
  virtual bool MayRunOnLoop() const { return false; }

 private:
  friend class FairQueue;

  const Share share_;
  // Guarded by whoever guards the queue.
  bool listed_ = false;
  // The one that was listed after this one.
  std::shared_ptr<WorkSource> next_;
  int running_ = 0;
  // Whether no step of it was ever taken.
  bool is_newcomer_ = true;
  // The time that it had, divided by its weight.
  double virtual_nanos_ = 0;
};

// The sources that have a step to do, and whose turn it is: the one that had the least of the workers' time so far, by
// weight (start-time fair queueing). Unlike deficit round robin it needs no quantum, and a source that comes back from
// being idle is next: it waits for the step that runs, not for a round. Idle time earns nothing.
//
// Newcomers have had nothing yet, so a flood of them would go before everybody else. Their first steps therefore count
// together, and get what kNewcomersPart sources would. Looking for the next one takes time in proportion to how many
// stand here, so sources are what an operator has (models), never what a caller sends. Not thread-safe. Nothing here
// allocates: that a source is ready cannot fail.
class FairQueue {
 public:
  // A step that was taken, to be given back when it has ended.
  struct Turn {
    std::shared_ptr<WorkSource> source;
    // What was charged for it in advance, so that other workers know of it.
    Duration charged{};
    // Whether it is the source's first step.
    bool is_first = false;
  };

  // The first steps of all sources together get the time of so many sources of their weight.
  static constexpr double kNewcomersPart = 8;

  // `workers` is how many there are.
  explicit FairQueue(int workers) : free_(workers) {}
  ~FairQueue() { Clear(); }
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  bool empty() const { return first_ == nullptr; }

  // Returns false if the source stands in the queue already.
  bool Add(std::shared_ptr<WorkSource> source);

  // The source whose turn it is; null if all that are here run as often at once as they may.
  WorkSource* Next() const { return Find().source; }

  // The same for a worker; null also if its step needs more workers than are free. Those behind it wait with it, or it
  // could wait for ever.
  WorkSource* NextForWorker() const;

  // Takes Next() out. It must not be null.
  Turn Take();

  // The step has ended and took that long.
  void Ended(const Turn& turn, Duration took);

  void Clear();

  // The part of the workers' time that the source would get now: by weight among those that stand here or run.
  double PartOf(const WorkSource& source) const;

 private:
  struct Place {
    WorkSource* source = nullptr;
    // The one that was listed before it, null if there is none.
    WorkSource* before = nullptr;
  };

  // The source whose turn it is.
  Place Find() const;
  double VirtualNanos(const WorkSource& source) const {
    return source.is_newcomer_ ? newcomers_nanos_ : source.virtual_nanos_;
  }
  // Charges a source, and all newcomers if it was one.
  void Charge(WorkSource& source, Duration time, bool is_first);

  // In the order in which they came, linked by next_.
  std::shared_ptr<WorkSource> first_;
  WorkSource* last_ = nullptr;
  // Workers that no step takes.
  int free_;
  // The weight of all sources that stand here or run.
  double active_weight_ = 0;
  // The virtual time at which the last step was taken: where those who come back begin.
  double now_ = 0;
  // Where newcomers begin.
  double newcomers_nanos_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_FAIR_QUEUE_H_
