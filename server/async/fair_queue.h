#ifndef PREDICTD_SERVER_ASYNC_FAIR_QUEUE_H_
#define PREDICTD_SERVER_ASYNC_FAIR_QUEUE_H_

#include <memory>

#include "server/async/clock.h"
#include "server/async/work_source.h"

namespace predictd {

// The sources that have a step to do. The next turn is that of the source which has had the least of the workers' time
// so far, by weight (start-time fair queueing). Unlike deficit round robin this needs no quantum, and a source that
// comes back from being idle is next: it waits for the step that runs, not for a round. Idle time earns nothing.
//
// Newcomers have had no time yet, so a flood of them would go before everybody else. Therefore their first steps count
// together, and get the time of kNewcomersPart sources. Looking for the next source takes time in proportion to their
// number, so a source is something that an operator has (a model), never something that a caller sends. Nothing here
// allocates, so that making a source ready cannot fail. Not thread-safe.
class FairQueue {
 public:
  // A step that was taken; it is given back when it has ended.
  struct Turn {
    std::shared_ptr<WorkSource> source;
    // The time that was charged for the step in advance, so that other workers take it into account.
    Duration charged{};
    // Whether it is the source's first step.
    bool is_first = false;
  };

  // The first steps of all sources together get the time of so many sources of their weight.
  static constexpr double kNewcomersPart = 8;

  // `workers` is the number of workers.
  explicit FairQueue(int workers) : free_(workers) {}
  ~FairQueue() { Clear(); }
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  bool empty() const { return first_ == nullptr; }

  // Adds a source. Returns false if it is in the queue already.
  bool Add(std::shared_ptr<WorkSource> source);

  // The source whose turn it is; null if all sources in the queue run as many steps at once as they may.
  WorkSource* Next() const { return Find().source; }

  // The same for a worker. It is null also if the source's step needs more workers than are free: the sources behind it
  // then wait, too, because otherwise it might wait for ever.
  WorkSource* NextForWorker() const;

  // Takes Next(), which must not be null, out of the queue.
  Turn Take();

  // Says that the step has ended and took that long.
  void Ended(const Turn& turn, Duration took);

  void Clear();

  // The part of the workers' time that the source would get now, by weight among the sources that are in the queue or
  // run.
  double PartOf(const WorkSource& source) const;

 private:
  struct Place {
    WorkSource* source = nullptr;
    // The source before it in the list; null if it is the first.
    WorkSource* before = nullptr;
  };

  // Finds the source whose turn it is.
  Place Find() const;
  double VirtualNanos(const WorkSource& source) const {
    return source.is_newcomer_ ? newcomers_nanos_ : source.virtual_nanos_;
  }
  // Charges the time to the source and, if it was its first step, to all newcomers.
  void Charge(WorkSource& source, Duration time, bool is_first);

  // The list of sources in the order in which they came, linked by next_.
  std::shared_ptr<WorkSource> first_;
  WorkSource* last_ = nullptr;
  // The number of workers that no step takes.
  int free_;
  // The weight of all sources that are in the queue or run.
  double active_weight_ = 0;
  // The virtual time at which the last step was taken. Sources that come back begin there.
  double now_ = 0;
  // The virtual time at which newcomers begin.
  double newcomers_nanos_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_FAIR_QUEUE_H_
