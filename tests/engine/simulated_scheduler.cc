#include "tests/engine/simulated_scheduler.h"

#include <algorithm>
#include <cmath>

namespace predictd {
namespace {

class Bystander final : public WorkSource {
  void RunStep() override {}
};

}  // namespace

SimulatedScheduler::SimulatedScheduler(int workers, int64_t max_steps, Findings& findings,
                                       std::function<void()> on_idle)
    : workers_(workers), findings_(findings), on_idle_(std::move(on_idle)), queue_(workers), steps_left_(max_steps) {}

void SimulatedScheduler::Ready(std::shared_ptr<WorkSource> source) {
  const WorkSource& added = *source;
  if (queue_.Add(std::move(source))) BecomeReady(added);
}

void SimulatedScheduler::ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) {
  At(when, [this, source = std::move(source)] { Ready(source); });
}

void SimulatedScheduler::At(TimePoint when, std::function<void()> function) {
  events_.push({when, next_sequence_++, std::move(function)});
}

void SimulatedScheduler::AdvanceTo(TimePoint end) {
  RunSteps();
  while (!events_.empty() && events_.top().when <= end) {
    FireNext();
    RunSteps();
  }
  clock_.Advance(std::max(Duration::zero(), end - now()));
}

void SimulatedScheduler::Finish() {
  RunSteps();
  while (!events_.empty()) {
    FireNext();
    RunSteps();
  }
}

bool SimulatedScheduler::quiet() const {
  // If the queue is empty, a newcomer gets all the time.
  return std::abs(queue_.PartOf(Bystander()) - 1) < 1e-9;
}

void SimulatedScheduler::FireNext() {
  const Event event = events_.top();
  events_.pop();
  clock_.Advance(std::max(Duration::zero(), event.when - now()));
  event.function();
}

void SimulatedScheduler::RunSteps() {
  while (busy_ < workers_ && queue_.Next() != nullptr) {
    if (steps_left_-- <= 0) {
      findings_.Add("workers get steps without end");
      return;
    }
    RunStep();
  }
  if (busy_ < workers_) on_idle_();
}

void SimulatedScheduler::RunStep() {
  const FairQueue::Turn turn = queue_.Take();
  if (workers_ == 1) {
    active_[turn.source.get()].ready = false;
    active_[turn.source.get()].running = true;
  }
  ++busy_;
  const TimePoint started = now();
  turn.source->RunStep();
  --busy_;
  queue_.Ended(turn, now() - started);
  if (workers_ == 1) Served(*turn.source, now() - started);
}

void SimulatedScheduler::BecomeReady(const WorkSource& source) {
  if (workers_ > 1) return;
  const auto [place, is_new] = active_.try_emplace(&source);
  Active& active = place->second;
  active.ready = true;
  if (!is_new) return;
  active.weight = weights_.at(&source);
  for (const auto& [other, its] : active_) active.others_had[other] = its.served;
}

void SimulatedScheduler::Served(const WorkSource& source, Duration took) {
  Active& active = active_.at(&source);
  const double part = static_cast<double>(took.count()) / active.weight;
  longest_step_ = std::max(longest_step_, part);
  active.served += part;
  CheckShares();
  active.running = false;
  if (active.ready) return;
  active_.erase(&source);
  for (auto& [other, its] : active_) its.others_had.erase(&source);
}

void SimulatedScheduler::CheckShares() {
  // Start-time fair queueing guarantees shares to within one step of each source.
  const double allowed = 2 * longest_step_ + 1000;
  for (const auto& [source, active] : active_) {
    for (const auto& [other, had] : active.others_had) {
      if (std::abs(active.served - (active_.at(other).served - had)) > allowed) {
        findings_.Add("a source got more than its share and a step of each");
      }
    }
  }
}

}  // namespace predictd
