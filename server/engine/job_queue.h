#ifndef PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_
#define PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_

#include <memory>
#include <vector>

#include "server/async/indexed_heap.h"
#include "server/engine/job.h"

namespace predictd {

// The requests that wait for one model version, earliest deadline first, then first come first served. Every operation
// is O(log n). Not thread-safe: its owner locks. Policy only: it neither completes jobs nor reads a clock.
class JobQueue {
 public:
  explicit JobQueue(size_t capacity) : capacity_(capacity) {}

  size_t size() const { return heap_.size(); }
  size_t capacity() const { return capacity_; }
  bool full() const { return heap_.size() >= capacity_; }

  void Push(std::shared_ptr<Job> job, TimePoint now);

  // Takes the job out; false if it is not in the queue (any more).
  bool Remove(Job& job);

  // What a worker gets at `now`.
  struct Taken {
    // To run together: rows add up to at most max_rows (a single job may have more), and all fit to the first.
    std::vector<std::shared_ptr<Job>> batch;
    // Their deadline has passed: to be answered, not run.
    std::vector<std::shared_ptr<Job>> expired;
  };
  Taken Take(TimePoint now, int64_t max_rows);

 private:
  struct Order {
    static bool Less(const Job& a, const Job& b) {
      if (a.request.deadline != b.request.deadline) return a.request.deadline < b.request.deadline;
      return a.sequence < b.sequence;
    }
    static size_t& Index(Job& job) { return job.queue_index; }
  };

  const size_t capacity_;
  uint64_t next_sequence_ = 0;
  IndexedHeap<std::shared_ptr<Job>, Order> heap_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_
