#include "server/engine/job_queue.h"

#include <algorithm>

#include "server/engine/batch.h"

namespace predictd {

void JobQueue::Push(std::shared_ptr<Job> job, TimePoint now) {
  job->enqueued = now;
  job->sequence = next_sequence_++;
  heap_.Push(std::move(job));
}

bool JobQueue::Remove(Job& job) {
  if (job.queue_index == kNotInHeap) return false;
  heap_.Remove(job.queue_index);
  return true;
}

JobQueue::Taken JobQueue::Take(TimePoint now, int64_t max_rows) {
  Taken taken;
  int64_t rows = 0;
  while (!heap_.empty()) {
    const Job& next = *heap_.top();
    if (next.request.deadline <= now) {
      taken.expired.push_back(heap_.Pop());
      continue;
    }
    if (!taken.batch.empty() &&
        (rows + next.request.rows > max_rows || !CanShareBatch(taken.batch.front()->request, next.request))) {
      break;
    }
    rows += next.request.rows;
    taken.batch.push_back(heap_.Pop());
  }
  return taken;
}

}  // namespace predictd
