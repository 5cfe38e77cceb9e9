#include "server/async/fair_queue.h"

#include <algorithm>
#include <utility>

namespace predictd {
namespace {

// What is charged in advance for a step of unknown cost.
constexpr Duration kUnknownCost = std::chrono::milliseconds(1);

double Nanos(Duration duration) {
  return static_cast<double>(std::chrono::nanoseconds(duration).count());
}

}  // namespace

bool FairQueue::Add(std::shared_ptr<WorkSource> source) {
  if (source->listed_) return false;
  // Makes room first: a source that is listed but not in the list would never have a turn again.
  if (listed_.size() == listed_.capacity()) listed_.reserve(2 * listed_.size() + 1);
  source->listed_ = true;
  if (source->running_ == 0) {
    active_weight_ += source->share_.weight;
    source->virtual_nanos_ = std::max(source->virtual_nanos_, now_);
  }
  listed_.push_back(std::move(source));
  return true;
}

size_t FairQueue::NextIndex() const {
  size_t next = listed_.size();
  for (size_t i = 0; i < listed_.size(); ++i) {
    const WorkSource& source = *listed_[i];
    if (source.share_.max_concurrency > 0 && source.running_ >= source.share_.max_concurrency) continue;
    // Of equals the one that came first.
    if (next == listed_.size() || source.virtual_nanos_ < listed_[next]->virtual_nanos_) next = i;
  }
  return next;
}

WorkSource* FairQueue::Next() const {
  const size_t next = NextIndex();
  return next < listed_.size() ? listed_[next].get() : nullptr;
}

WorkSource* FairQueue::NextForWorker() const {
  WorkSource* next = Next();
  return next != nullptr && next->share_.workers_per_step <= free_ ? next : nullptr;
}

FairQueue::Turn FairQueue::Take() {
  const size_t next = NextIndex();
  Turn turn = {.source = std::move(listed_[next])};
  listed_.erase(listed_.begin() + static_cast<std::ptrdiff_t>(next));
  WorkSource& source = *turn.source;
  source.listed_ = false;
  ++source.running_;
  free_ -= source.share_.workers_per_step;
  now_ = std::max(now_, source.virtual_nanos_);
  const Duration cost = source.StepCost();
  turn.charged = cost == Duration::max() ? kUnknownCost : cost;
  source.virtual_nanos_ += Nanos(turn.charged) * source.share_.workers_per_step / source.share_.weight;
  return turn;
}

void FairQueue::Ended(const Turn& turn, Duration took) {
  WorkSource& source = *turn.source;
  --source.running_;
  free_ += source.share_.workers_per_step;
  source.virtual_nanos_ += Nanos(took - turn.charged) * source.share_.workers_per_step / source.share_.weight;
  if (source.running_ == 0 && !source.listed_) active_weight_ -= source.share_.weight;
}

void FairQueue::Clear() {
  for (const auto& source : listed_) {
    source->listed_ = false;
    if (source->running_ == 0) active_weight_ -= source->share_.weight;
  }
  listed_.clear();
}

double FairQueue::PartOf(const WorkSource& source) const {
  const bool active = source.listed_ || source.running_ > 0;
  return source.share_.weight / (active ? active_weight_ : active_weight_ + source.share_.weight);
}

}  // namespace predictd
