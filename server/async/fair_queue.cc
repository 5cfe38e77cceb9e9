#include "server/async/fair_queue.h"

#include <algorithm>
#include <utility>

namespace predictd {
namespace {

// The time that is charged in advance for a step of unknown cost.
constexpr Duration kUnknownCost = std::chrono::milliseconds(1);

double Nanos(Duration duration) {
  return static_cast<double>(std::chrono::nanoseconds(duration).count());
}

}  // namespace

bool FairQueue::Add(std::shared_ptr<WorkSource> source) {
  if (source->listed_) return false;
  source->listed_ = true;
  if (source->running_ == 0) {
    active_weight_ += source->share_.weight;
    source->virtual_nanos_ = std::max(source->virtual_nanos_, now_);
    if (source->is_newcomer_) newcomers_nanos_ = std::max(newcomers_nanos_, now_);
  }
  WorkSource* const added = source.get();
  (last_ == nullptr ? first_ : last_->next_) = std::move(source);
  last_ = added;
  return true;
}

FairQueue::Place FairQueue::Find() const {
  Place next;
  WorkSource* before = nullptr;
  for (WorkSource* source = first_.get(); source != nullptr; before = source, source = source->next_.get()) {
    if (source->share_.max_concurrency > 0 && source->running_ >= source->share_.max_concurrency) continue;
    // Among equals the source that came first has its turn.
    if (next.source == nullptr || VirtualNanos(*source) < VirtualNanos(*next.source)) next = {source, before};
  }
  return next;
}

WorkSource* FairQueue::NextForWorker() const {
  WorkSource* next = Next();
  return next != nullptr && next->share_.workers_per_step <= free_ ? next : nullptr;
}

FairQueue::Turn FairQueue::Take() {
  const Place place = Find();
  std::shared_ptr<WorkSource>& link = place.before == nullptr ? first_ : place.before->next_;
  Turn turn = {.source = std::move(link)};
  WorkSource& source = *turn.source;
  link = std::move(source.next_);
  if (last_ == &source) last_ = place.before;
  source.listed_ = false;
  ++source.running_;
  free_ -= source.share_.workers_per_step;
  source.virtual_nanos_ = VirtualNanos(source);
  turn.is_first = std::exchange(source.is_newcomer_, false);
  now_ = std::max(now_, source.virtual_nanos_);
  const Duration cost = source.StepCost();
  turn.charged = cost == Duration::max() ? kUnknownCost : cost;
  Charge(source, turn.charged, turn.is_first);
  return turn;
}

void FairQueue::Ended(const Turn& turn, Duration took) {
  WorkSource& source = *turn.source;
  --source.running_;
  free_ += source.share_.workers_per_step;
  Charge(source, took - turn.charged, turn.is_first);
  if (source.running_ == 0 && !source.listed_) active_weight_ -= source.share_.weight;
}

void FairQueue::Charge(WorkSource& source, Duration time, bool is_first) {
  const double nanos = Nanos(time) * source.share_.workers_per_step / source.share_.weight;
  source.virtual_nanos_ += nanos;
  if (is_first) newcomers_nanos_ += nanos / kNewcomersPart;
}

void FairQueue::Clear() {
  last_ = nullptr;
  for (std::shared_ptr<WorkSource> source = std::move(first_); source != nullptr; source = std::move(source->next_)) {
    source->listed_ = false;
    if (source->running_ == 0) active_weight_ -= source->share_.weight;
  }
}

double FairQueue::PartOf(const WorkSource& source) const {
  const bool active = source.listed_ || source.running_ > 0;
  return source.share_.weight / (active ? active_weight_ : active_weight_ + source.share_.weight);
}

}  // namespace predictd
