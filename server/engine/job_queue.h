#ifndef PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_
#define PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_

#include <algorithm>
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

// The requests that wait for one model version, and which of them run next. Not thread-safe: its owner locks. It holds
// the policy only: it neither completes jobs nor reads a clock. Every operation is O(log n), however many groups there
// are.
//
// Within a priority the earliest deadline goes first, and a level of priority is worth a certain amount of deadline
// (WaitingPlace): urgent requests go first as long as the others have not waited for very long. A batch is made of the
// first request and of those after it that can share its batch; the first request that cannot keeps its place for the
// next batch.
class JobQueue {
 public:
  struct Options {
    // The most requests that may wait, and the most bytes of their inputs.
    size_t capacity = 1024;
    int64_t capacity_bytes = int64_t{256} << 20;
    // The most rows of a batch. A request with more rows runs alone.
    int64_t max_rows = 64;
    // How long a smaller batch waits for more requests, unless it has one of the preferred sizes.
    Duration max_delay = Duration::zero();
    std::vector<int64_t> preferred_rows = {};
  };

  explicit JobQueue(Options options);
  ~JobQueue();
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  const Options& options() const { return options_; }
  // Limits all later batches to that many rows.
  void LimitRows(int64_t max_rows) { options_.max_rows = std::min(options_.max_rows, max_rows); }
  size_t size() const { return size_; }
  int64_t bytes() const { return bytes_; }
  bool HasRoom(int64_t bytes) const {
    // A request larger than the whole capacity may wait alone.
    return size_ < options_.capacity && (size_ == 0 || bytes_ + bytes <= options_.capacity_bytes);
  }

  // If this throws (out of memory), the job is in no queue.
  void Push(std::shared_ptr<Job> job, BatchKey key, int64_t bytes, TimePoint now);

  // Rows that would run before a request that arrives at `now`.
  int64_t RowsAhead(const InferenceRequest& request, TimePoint now) const;

  // How long the next batch waits for more rows, regardless of the workers.
  Duration UntilTaken(TimePoint now) const;

  // Rows of the batch that would be taken now; 0 if no request waits.
  int64_t NextRows() const;

  // Takes the job out; false if it is not, or no longer, in the queue.
  bool Remove(Job& job) noexcept;
  // Takes out the job whose turn it is, even if its deadline has passed; null if none waits.
  std::shared_ptr<Job> TakeFirst() noexcept;

  // What a worker gets at `now`.
  struct Taken {
    // Jobs to run together. Their rows add up to at most max_rows and most_rows, though a single job may have more.
    std::vector<std::shared_ptr<Job>> batch;
    // Jobs to be answered instead of run: the deadline of `expired` ones has passed, and that of `hopeless` ones would
    // pass before any run could end.
    std::vector<std::shared_ptr<Job>> expired;
    std::vector<std::shared_ptr<Job>> hopeless;
    // If there is no batch: when to look again, because the waiting batch is small. kNever if nothing waits.
    TimePoint look_again = kNever;
  };
  struct TakeOptions {
    Duration shortest_run = Duration::zero();
    int64_t most_rows = std::numeric_limits<int64_t>::max();
  };
  // Takes the next batch. No run takes less than `shortest_run`, and a batch of more than `most_rows` does not pay.
  // Never throws: if there is no memory to note a job it stops, and Taken holds what it has got so far.
  Taken Take(TimePoint now, const TakeOptions& options) noexcept;

 private:
  struct ByFirst {
    static bool Less(const JobGroup& a, const JobGroup& b) {
      return a.jobs.first()->queued.order < b.jobs.first()->queued.order;
    }
    static size_t& Index(JobGroup& group) { return group.heap_index; }
  };

  // The group of the job whose turn it is; null if none waits.
  JobGroup* NextGroup() const { return order_.empty() ? nullptr : order_.top(); }
  JobGroup& GroupFor(BatchKey key);
  std::shared_ptr<Job> Erase(Job& job) noexcept;
  // Takes the group's first jobs, up to `max_rows` rows.
  void TakeBatch(JobGroup& group, int64_t max_rows, TimePoint now, Duration shortest_run, Taken& taken);
  // Takes the job out and returns true if it has expired or is hopeless.
  bool SetApart(Job& job, TimePoint now, Duration shortest_run, Taken& taken);
  // How many rows to take at `now` when `waiting` rows wait together, of which `first` is the first job; 0 if the batch
  // is to wait longer.
  int64_t RowsToTake(int64_t waiting, const Job& first, TimePoint now) const;
  // Until when a small batch waits for more requests.
  TimePoint WaitsUntil(const Job& first) const;

  Options options_;
  uint64_t next_sequence_ = 0;
  size_t size_ = 0;
  int64_t bytes_ = 0;
  // Not one of Abseil's maps, because an allocation that fails destroys those.
  std::unordered_map<BatchKey, std::unique_ptr<JobGroup>, absl::Hash<BatchKey>> groups_;
  // The groups that are not empty.
  IndexedHeap<JobGroup*, ByFirst> order_;
  // All jobs, kept only once there has been a second group: until then the group's tree holds the same.
  JobTree all_{JobTreeKind::kQueue};
  bool mixed_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_JOB_QUEUE_H_
