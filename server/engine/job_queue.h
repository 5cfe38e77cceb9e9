#ifndef PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_
#define PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_

#include <limits>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/hash/hash.h"
#include "server/async/indexed_heap.h"
#include "server/engine/batch.h"
#include "server/engine/job.h"
#include "server/engine/job_tree.h"

namespace predictd {

// Requests of one model version that can share a batch.
class JobGroup {
 public:
  explicit JobGroup(BatchKey key) : key(std::move(key)) {}

  const BatchKey key;
  JobTree jobs{JobTreeKind::kGroup};
  size_t heap_index = kNotInHeap;
};

// The requests that wait for one model version, and which of them run next. Not thread-safe: its owner locks. Policy
// only: it neither completes jobs nor reads a clock. Every operation is O(log n), however many groups there are.
//
// The order is the earliest deadline first within a priority, and a level of priority is worth some deadline
// (WaitingPlace): so the urgent go first as long as the others have not waited for very long. A batch is made of the
// first request and those after it that can share its batch; the first of the others keeps its place for the next
// batch.
class JobQueue {
 public:
  struct Options {
    // Requests, and bytes of their inputs, that may wait.
    size_t capacity = 1024;
    int64_t capacity_bytes = int64_t{256} << 20;
    // Rows of a batch. A request with more runs alone.
    int64_t max_rows = 64;
    // A smaller batch waits so long for others, except for one of these sizes.
    Duration max_delay = Duration::zero();
    std::vector<int64_t> preferred_rows = {};
  };

  explicit JobQueue(Options options);
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  const Options& options() const { return options_; }
  size_t size() const { return size_; }
  int64_t bytes() const { return bytes_; }
  bool HasRoom(int64_t bytes) const {
    // One that is larger than everything may wait alone.
    return size_ < options_.capacity && (size_ == 0 || bytes_ + bytes <= options_.capacity_bytes);
  }

  // If it throws (out of memory), the job is in no queue.
  void Push(std::shared_ptr<Job> job, BatchKey key, int64_t bytes, TimePoint now);

  // Rows that would run before a request that came at `now`.
  int64_t RowsAhead(const InferenceRequest& request, TimePoint now) const;

  // Rows of the batch that would be taken now; 0 if nothing waits.
  int64_t NextRows() const;

  // Takes the job out; false if it is not in the queue (any more).
  bool Remove(Job& job) noexcept;
  // Takes the job out whose turn it is, whatever can be said of it; null if nothing waits.
  std::shared_ptr<Job> TakeFirst() noexcept;

  // What a worker gets at `now`, if no run takes less than `shortest_run`, and more than `most_rows` do not pay.
  struct Taken {
    // To run together: rows add up to at most max_rows and most_rows (a single job may have more).
    std::vector<std::shared_ptr<Job>> batch;
    // To be answered, not run: the deadline has passed, or would before any run could end.
    std::vector<std::shared_ptr<Job>> expired;
    std::vector<std::shared_ptr<Job>> hopeless;
    // Without a batch: when to look again, as the one that waits is small. kNever: nothing waits.
    TimePoint look_again = kNever;
  };
  struct TakeOptions {
    Duration shortest_run = Duration::zero();
    int64_t most_rows = std::numeric_limits<int64_t>::max();
  };
  // Never throws: without memory to note a job it stops, and what it has got so far is in Taken.
  Taken Take(TimePoint now, const TakeOptions& options) noexcept;

 private:
  struct ByFirst {
    static bool Less(const JobGroup& a, const JobGroup& b) {
      return a.jobs.first()->queued.order < b.jobs.first()->queued.order;
    }
    static size_t& Index(JobGroup& group) { return group.heap_index; }
  };

  // The group of the job whose turn it is; null if nothing waits.
  JobGroup* NextGroup() const { return order_.empty() ? nullptr : order_.top(); }
  JobGroup& GroupFor(BatchKey key);
  std::shared_ptr<Job> Erase(Job& job) noexcept;
  // Takes the group's first jobs, up to so many rows.
  void TakeBatch(JobGroup& group, int64_t max_rows, TimePoint now, Duration shortest_run, Taken& taken);
  // Takes the job out if no run would do for it.
  bool SetApart(Job& job, TimePoint now, Duration shortest_run, Taken& taken);
  // The rows to take at `now` of so many that wait together, the first of them `first`; 0: not yet.
  int64_t RowsToTake(int64_t waiting, const Job& first, TimePoint now) const;
  // Until when a small batch waits for others.
  TimePoint WaitsUntil(const Job& first) const;

  const Options options_;
  uint64_t next_sequence_ = 0;
  size_t size_ = 0;
  int64_t bytes_ = 0;
  // Not one of Abseil's maps: those are destroyed by an allocation that fails.
  std::unordered_map<BatchKey, std::unique_ptr<JobGroup>, absl::Hash<BatchKey>> groups_;
  // Those that are not empty.
  IndexedHeap<JobGroup*, ByFirst> order_;
  // All jobs, from when there has been a second group on: until then the group's tree says the same.
  JobTree all_{JobTreeKind::kQueue};
  bool mixed_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_
