#include "server/engine/job_queue.h"

#include <algorithm>
#include <utility>

namespace predictd {
namespace {

// So many groups are kept when they are empty, and looked into for who is ahead. More count as a whole.
constexpr size_t kFewGroups = 16;

}  // namespace

JobQueue::JobQueue(Options options) : options_(std::move(options)) {}

JobQueue::~JobQueue() {
  // What waits keeps itself alive.
  while (!order_.empty()) Erase(*order_.top()->jobs.first());
}

void JobQueue::Push(std::shared_ptr<Job> job, BatchKey key, int64_t bytes, TimePoint now) {
  std::unique_ptr<JobGroup>& group = groups_[key];
  if (group == nullptr) group = std::make_unique<JobGroup>(std::move(key));
  Job::Queued& queued = job->queued;
  queued.at = now;
  queued.order = {WaitingPlace(job->request.deadline, job->request.priority, now), next_sequence_++};
  queued.bytes = bytes;
  queued.group = group.get();
  // The heap orders groups by their first jobs, which this one may change.
  if (group->heap_index != kNotInHeap) order_.Remove(group->heap_index);
  group->jobs.Insert(*job);
  order_.Push(group.get());
  ++size_;
  bytes_ += bytes;
  queued.self = std::move(job);
}

std::shared_ptr<Job> JobQueue::Erase(Job& job) {
  JobGroup& group = *std::exchange(job.queued.group, nullptr);
  order_.Remove(group.heap_index);
  group.jobs.Erase(job);
  --size_;
  bytes_ -= job.queued.bytes;
  if (!group.jobs.empty()) {
    order_.Push(&group);
  } else if (groups_.size() > kFewGroups) {
    groups_.erase(group.key);
  }
  return std::move(job.queued.self);
}

bool JobQueue::Remove(Job& job) {
  if (job.queued.group == nullptr) return false;
  Erase(job);
  return true;
}

int64_t JobQueue::RowsAhead(const InferenceRequest& request, TimePoint now) const {
  const JobOrder order = {WaitingPlace(request.deadline, request.priority, now), next_sequence_};
  const bool look_into = groups_.size() <= kFewGroups;
  int64_t rows = 0;
  for (const auto& [key, group] : groups_) {
    rows += look_into ? group->jobs.RowsBefore(order) : group->jobs.rows();
  }
  return rows;
}

int64_t JobQueue::RowsToTake(int64_t waiting, const Job& first, TimePoint now) const {
  if (waiting >= options_.max_rows) return options_.max_rows;
  int64_t preferred = 0;
  for (int64_t rows : options_.preferred_rows) {
    if (rows <= waiting) preferred = std::max(preferred, rows);
  }
  if (preferred > 0) return preferred;
  if (options_.max_delay == Duration::zero()) return options_.max_rows;
  return now >= WaitsUntil(first) ? options_.max_rows : 0;
}

TimePoint JobQueue::WaitsUntil(const Job& first) const {
  // It is to be answered, not only begun, before its deadline: half of the time for each.
  const Duration half =
      first.request.deadline == kNever ? Duration::max() : (first.request.deadline - first.queued.at) / 2;
  return first.queued.at + std::min(options_.max_delay, half);
}

JobQueue::Taken JobQueue::Take(TimePoint now, Duration shortest_run, int64_t most_rows) {
  Taken taken;
  const auto set_apart = [&](Job& job) {
    const bool expired = job.request.deadline <= now;
    const bool hopeless = job.queued.refusable && job.request.deadline <= now + shortest_run;
    if (!expired && !hopeless) return false;
    (expired ? taken.expired : taken.hopeless).push_back(Erase(job));
    return true;
  };
  while (!order_.empty() && set_apart(*order_.top()->jobs.first())) {
  }
  if (order_.empty()) return taken;

  JobGroup& group = *order_.top();
  const Job& first = *group.jobs.first();
  const int64_t max_rows = std::min(RowsToTake(group.jobs.rows(), first, now), most_rows);
  if (max_rows == 0) {
    taken.look_again = WaitsUntil(first);
    return taken;
  }
  int64_t rows = 0;
  // Counted, because the group may go with its last job.
  for (size_t left = group.jobs.size(); left > 0; --left) {
    Job& next = *group.jobs.first();
    if (set_apart(next)) continue;
    if (!taken.batch.empty() && rows + next.request.rows > max_rows) break;
    rows += next.request.rows;
    taken.batch.push_back(Erase(next));
  }
  return taken;
}

}  // namespace predictd
