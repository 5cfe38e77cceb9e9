#include "server/engine/job_queue.h"

#include <algorithm>
#include <new>
#include <utility>

namespace predictd {
namespace {

// This many groups are kept even when they are empty.
constexpr size_t kFewGroups = 16;

// Makes room first, so that the job is either in the list or still where it was.
void MoveTo(std::vector<std::shared_ptr<Job>>& list, const auto& take_out) {
  list.emplace_back();
  list.back() = take_out();
}

}  // namespace

JobQueue::JobQueue(Options options) : options_(std::move(options)) {}

JobQueue::~JobQueue() {
  // Waiting jobs keep themselves alive.
  while (TakeFirst() != nullptr) {
  }
}

JobGroup& JobQueue::GroupFor(BatchKey key) {
  const auto found = groups_.find(key);
  if (found != groups_.end()) return *found->second;
  auto made = std::make_unique<JobGroup>(key);
  JobGroup& group = *groups_.emplace(std::move(key), std::move(made)).first->second;
  if (groups_.size() > 1 && !mixed_) {
    mixed_ = true;
    for (const auto& [other_key, other] : groups_) other->jobs.CopyTo(all_);
  }
  return group;
}

void JobQueue::Push(std::shared_ptr<Job> job, BatchKey key, int64_t bytes, TimePoint now) {
  // Once there is room in the heap, and a group, nothing can fail any more.
  order_.ReserveOneMore();
  JobGroup& group = GroupFor(std::move(key));
  Job::Queued& queued = job->queued;
  queued.at = now;
  queued.order = {WaitingPlace(job->request.deadline, job->request.priority, now), next_sequence_++};
  queued.bytes = bytes;
  queued.group = &group;
  // The heap orders groups by their first jobs, and this job may become the first.
  if (group.heap_index != kNotInHeap) order_.Remove(group.heap_index);
  group.jobs.Insert(*job);
  if (mixed_) all_.Insert(*job);
  order_.Push(&group);
  ++size_;
  bytes_ += bytes;
  queued.self = std::move(job);
}

std::shared_ptr<Job> JobQueue::Erase(Job& job) noexcept {
  JobGroup& group = *std::exchange(job.queued.group, nullptr);
  order_.Remove(group.heap_index);
  group.jobs.Erase(job);
  if (mixed_) all_.Erase(job);
  --size_;
  bytes_ -= job.queued.bytes;
  if (!group.jobs.empty()) {
    // This uses the place in the heap that the group has just left.
    order_.Push(&group);
  } else if (groups_.size() > kFewGroups) {
    groups_.erase(group.key);
  }
  return std::move(job.queued.self);
}

bool JobQueue::Remove(Job& job) noexcept {
  if (job.queued.group == nullptr) return false;
  Erase(job);
  return true;
}

std::shared_ptr<Job> JobQueue::TakeFirst() noexcept {
  JobGroup* const group = NextGroup();
  return group == nullptr ? nullptr : Erase(*group->jobs.first());
}

int64_t JobQueue::RowsAhead(const InferenceRequest& request, TimePoint now) const {
  const JobOrder order = {WaitingPlace(request.deadline, request.priority, now), next_sequence_};
  if (mixed_) return all_.RowsBefore(order);
  return groups_.empty() ? 0 : groups_.begin()->second->jobs.RowsBefore(order);
}

Duration JobQueue::UntilTaken(TimePoint now) const {
  const JobGroup* const group = NextGroup();
  if (group == nullptr) return Duration::zero();
  const Job& first = *group->jobs.first();
  if (RowsToTake(group->jobs.rows(), first, now) > 0) return Duration::zero();
  return WaitsUntil(first) - now;
}

int64_t JobQueue::NextRows() const {
  const JobGroup* const group = NextGroup();
  if (group == nullptr) return 0;
  return std::max(group->jobs.first()->request.rows, std::min(group->jobs.rows(), options_.max_rows));
}

int64_t JobQueue::RowsToTake(int64_t waiting, const Job& first, TimePoint now) const {
  if (waiting >= options_.max_rows) return options_.max_rows;
  int64_t preferred = 0;
  for (int64_t rows : options_.preferred_rows) {
    if (rows <= std::min(waiting, options_.max_rows)) preferred = std::max(preferred, rows);
  }
  if (preferred > 0) return preferred;
  if (options_.max_delay == Duration::zero()) return options_.max_rows;
  return now >= WaitsUntil(first) ? options_.max_rows : 0;
}

TimePoint JobQueue::WaitsUntil(const Job& first) const {
  // The request is to be answered, not only begun, before its deadline, so waiting may take half of its time.
  const Duration half =
      first.request.deadline == kNever ? Duration::max() : (first.request.deadline - first.queued.at) / 2;
  return first.queued.at + std::min(options_.max_delay, half);
}

bool JobQueue::SetApart(Job& job, TimePoint now, Duration shortest_run, Taken& taken) {
  const bool expired = job.request.deadline <= now;
  const bool hopeless = job.queued.refusable && job.request.deadline <= now + shortest_run;
  if (!expired && !hopeless) return false;
  MoveTo(expired ? taken.expired : taken.hopeless, [&] { return Erase(job); });
  return true;
}

void JobQueue::TakeBatch(JobGroup& group, int64_t max_rows, TimePoint now, Duration shortest_run, Taken& taken) {
  int64_t rows = 0;
  // Counted in advance, because the group may be erased with its last job.
  for (size_t left = group.jobs.size(); left > 0; --left) {
    Job& next = *group.jobs.first();
    if (SetApart(next, now, shortest_run, taken)) continue;
    if (!taken.batch.empty() && rows + next.request.rows > max_rows) break;
    rows += next.request.rows;
    MoveTo(taken.batch, [&] { return Erase(next); });
  }
}

JobQueue::Taken JobQueue::Take(TimePoint now, const TakeOptions& options) noexcept {
  Taken taken;
  try {
    JobGroup* group = NextGroup();
    while (group != nullptr && SetApart(*group->jobs.first(), now, options.shortest_run, taken)) {
      group = NextGroup();
    }
    if (group == nullptr) return taken;
    const Job& first = *group->jobs.first();
    const int64_t max_rows = std::min(RowsToTake(group->jobs.rows(), first, now), options.most_rows);
    if (max_rows == 0) {
      taken.look_again = WaitsUntil(first);
      return taken;
    }
    TakeBatch(*group, max_rows, now, options.shortest_run, taken);
  } catch (const std::bad_alloc&) {
    // A list could not grow. An empty place may be left at its end.
    for (auto* list : {&taken.batch, &taken.expired, &taken.hopeless}) {
      if (!list->empty() && list->back() == nullptr) list->pop_back();
    }
  }
  return taken;
}

}  // namespace predictd
