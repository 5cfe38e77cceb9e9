#include "server/async/worker_pool.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace predictd {
namespace {

using std::chrono::steady_clock;

thread_local WorkerPool::WakeupBatch* current_batch = nullptr;

}  // namespace

WorkerPool::WorkerPool(Options options) : options_(std::move(options)), ready_(std::max(1, options_.workers)) {
  for (int i = 0; i < std::max(1, options_.workers); ++i) workers_.push_back(std::make_unique<Worker>());
  {
    // This reserves the memory that falling asleep would need.
    MutexLock lock(mutex_);
    sleepers_.reserve(workers_.size());
  }
  try {
    for (int i = 0; i < workers(); ++i) {
      workers_[i]->thread = std::thread(&WorkerPool::Loop, this, i);
      MutexLock lock(mutex_);
      ++live_;
    }
  } catch (...) {
    Stop();
    throw;
  }
}

void WorkerPool::Ready(std::shared_ptr<WorkSource> source) {
  Worker* sleeper = nullptr;
  {
    MutexLock lock(mutex_);
    if (stopping_ || !ready_.Add(std::move(source))) return;
    if (current_batch != nullptr && &current_batch->pool_ == this) {
      ++current_batch->pending_;
      return;
    }
    if (ready_.NextForWorker() != nullptr) sleeper = TakeSleeper();
  }
  if (sleeper != nullptr) sleeper->wake.NotifyOne();
}

void WorkerPool::ReadyAt(std::shared_ptr<WorkSource> source, TimePoint when) {
  Worker* sleeper = nullptr;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    const bool earliest = later_.empty() || when < later_.begin()->first;
    later_.emplace(when, source);
    // Some worker must wait no longer than until then.
    if (earliest) sleeper = TakeSleeper();
  }
  if (sleeper != nullptr) sleeper->wake.NotifyOne();
}

double WorkerPool::WorkersFor(const WorkSource& source) const {
  MutexLock lock(mutex_);
  return ready_.PartOf(source) * workers();
}

void WorkerPool::RunOn(int worker, std::function<void()> function) {
  Worker& target = *workers_[worker];
  {
    MutexLock lock(mutex_);
    target.pinned.push_back(std::move(function));
    if (target.asleep) {
      target.asleep = false;
      std::erase(sleepers_, &target);
    }
  }
  target.wake.NotifyOne();
}

void WorkerPool::RequestStop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    ready_.Clear();
    later_.clear();
  }
  for (auto& worker : workers_) worker->wake.NotifyAll();
}

void WorkerPool::Stop() {
  RequestStop();
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

bool WorkerPool::StopBy(TimePoint when) {
  RequestStop();
  {
    MutexLock lock(mutex_);
    while (live_ > 0) {
      if (steady_clock::now() >= when) return false;
      ended_.WaitUntil(mutex_, when);
    }
  }
  Stop();
  return true;
}

template <class Function>
void WorkerPool::Guard(const Function& function) noexcept {
  try {
    function();
  } catch (const std::exception& error) {
    if (options_.on_exception) options_.on_exception(error.what());
  } catch (...) {
    if (options_.on_exception) options_.on_exception("something that is no exception");
  }
}

void WorkerPool::Loop(int index) {
  if (options_.on_start) Guard(options_.on_start);
  Worker& self = *workers_[index];
  while (true) {
    FairQueue::Turn turn;
    std::function<void()> pinned;
    Worker* successor = nullptr;
    {
      MutexLock lock(mutex_);
      MoveDue();
      while (self.pinned.empty() && ready_.NextForWorker() == nullptr && !stopping_) {
        Sleep(self);
        MoveDue();
      }
      if (!self.pinned.empty()) {
        pinned = std::move(self.pinned.front());
        self.pinned.pop_front();
        // This worker may have been woken for the next step, which another one can do meanwhile.
        if (ready_.NextForWorker() != nullptr) successor = TakeSleeper();
      } else if (ready_.NextForWorker() != nullptr) {
        turn = ready_.Take();
        // No other worker was woken for sources that have just become due, or for those that had to wait for a step of
        // several workers; and this worker may be the one that waits for the sources of later_.
        if (!later_.empty() || ready_.NextForWorker() != nullptr) successor = TakeSleeper();
      } else {
        --live_;
        ended_.NotifyAll();
        return;
      }
    }
    if (successor != nullptr) successor->wake.NotifyOne();
    if (pinned) {
      Guard(pinned);
    } else {
      Run(turn);
    }
  }
}

void WorkerPool::Sleep(Worker& self) {
  self.asleep = true;
  sleepers_.push_back(&self);
  if (later_.empty()) {
    self.wake.Wait(mutex_);
  } else {
    self.wake.WaitUntil(mutex_, later_.begin()->first);
  }
  if (self.asleep) {
    self.asleep = false;
    std::erase(sleepers_, &self);
  }
}

void WorkerPool::MoveDue() {
  if (later_.empty()) return;
  const TimePoint now = steady_clock::now();
  while (!later_.empty() && later_.begin()->first <= now) {
    if (std::shared_ptr<WorkSource> source = later_.begin()->second.lock()) ready_.Add(std::move(source));
    later_.erase(later_.begin());
  }
}

Duration WorkerPool::Run(const FairQueue::Turn& turn) {
  const TimePoint started = steady_clock::now();
  Guard([&turn] { turn.source->RunStep(); });
  const Duration took = steady_clock::now() - started;
  MutexLock lock(mutex_);
  ready_.Ended(turn, took);
  return took;
}

WorkerPool::Worker* WorkerPool::TakeSleeper() {
  if (sleepers_.empty()) return nullptr;
  Worker* sleeper = sleepers_.back();
  sleepers_.pop_back();
  sleeper->asleep = false;
  return sleeper;
}

FairQueue::Turn WorkerPool::TakeInline(Duration budget) {
  MutexLock lock(mutex_);
  const WorkSource* next = sleepers_.empty() ? nullptr : ready_.Next();
  if (next == nullptr || !next->MayRunOnLoop()) return {};
  if (next->StepCost() > budget) return {};
  return ready_.Take();
}

void WorkerPool::WakeSleepers(int count) {
  for (int i = 0; i < count; ++i) {
    Worker* sleeper = nullptr;
    {
      MutexLock lock(mutex_);
      if (ready_.NextForWorker() == nullptr) return;
      sleeper = TakeSleeper();
    }
    if (sleeper == nullptr) return;
    sleeper->wake.NotifyOne();
  }
}

WorkerPool::WakeupBatch::WakeupBatch(WorkerPool& pool) : pool_(pool), outer_(std::exchange(current_batch, this)) {}

WorkerPool::WakeupBatch::~WakeupBatch() {
  if (pending_ > 0) {
    Duration budget = pool_.options_.max_inline_cost;
    // If a step leaves work to do, its source is ready again and may be the next one.
    while (true) {
      const FairQueue::Turn turn = pool_.TakeInline(budget);
      if (turn.source == nullptr) break;
      --pending_;
      // The step counts with the time that it was expected to take, or with the time that it took if that is longer.
      budget -= std::max(turn.charged, pool_.Run(turn));
    }
    // Sources that had to wait for a step that ran here are ready now, and no worker knows of it.
    pending_ = std::max(pending_, 1);
  }
  current_batch = outer_;
  pool_.WakeSleepers(pending_);
}

}  // namespace predictd
