#include "server/async/worker_pool.h"

#include <algorithm>
#include <utility>

namespace predictd {
namespace {

thread_local WorkerPool::WakeupBatch* current_batch = nullptr;

}  // namespace

WorkerPool::WorkerPool(Options options) : options_(std::move(options)) {
  for (int i = 0; i < std::max(1, options_.workers); ++i) workers_.push_back(std::make_unique<Worker>());
  for (int i = 0; i < workers(); ++i) workers_[i]->thread = std::thread(&WorkerPool::Loop, this, i);
}

void WorkerPool::Ready(std::shared_ptr<WorkSource> source) {
  Worker* sleeper = nullptr;
  {
    MutexLock lock(mutex_);
    if (source->listed_ || stopping_) return;
    source->listed_ = true;
    ready_.push_back(std::move(source));
    if (current_batch != nullptr && &current_batch->pool_ == this) {
      ++current_batch->pending_;
      return;
    }
    sleeper = TakeSleeper();
  }
  if (sleeper != nullptr) sleeper->wake.NotifyOne();
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

void WorkerPool::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (auto& source : ready_) source->listed_ = false;
    ready_.clear();
  }
  for (auto& worker : workers_) worker->wake.NotifyAll();
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void WorkerPool::Loop(int index) {
  if (options_.on_start) options_.on_start();
  Worker& self = *workers_[index];
  while (true) {
    std::shared_ptr<WorkSource> source;
    std::function<void()> pinned;
    Worker* successor = nullptr;
    {
      MutexLock lock(mutex_);
      while (self.pinned.empty() && ready_.empty() && !stopping_) {
        if (!self.asleep) {
          self.asleep = true;
          sleepers_.push_back(&self);
        }
        self.wake.Wait(mutex_);
      }
      if (self.asleep) {
        self.asleep = false;
        std::erase(sleepers_, &self);
      }
      if (!self.pinned.empty()) {
        pinned = std::move(self.pinned.front());
        self.pinned.pop_front();
        // This worker may have been woken for the step in front, which another one can do meanwhile.
        if (!ready_.empty()) successor = TakeSleeper();
      } else if (!ready_.empty()) {
        source = std::move(ready_.front());
        ready_.pop_front();
        source->listed_ = false;
      } else {
        return;
      }
    }
    if (successor != nullptr) successor->wake.NotifyOne();
    if (pinned) {
      pinned();
    } else {
      source->RunStep();
    }
  }
}

WorkerPool::Worker* WorkerPool::TakeSleeper() {
  if (sleepers_.empty()) return nullptr;
  Worker* sleeper = sleepers_.back();
  sleepers_.pop_back();
  sleeper->asleep = false;
  return sleeper;
}

std::shared_ptr<WorkSource> WorkerPool::TakeInline() {
  MutexLock lock(mutex_);
  if (sleepers_.empty() || ready_.empty() || ready_.front()->StepCost() > options_.max_inline_cost) return nullptr;
  std::shared_ptr<WorkSource> source = std::move(ready_.front());
  ready_.pop_front();
  source->listed_ = false;
  return source;
}

void WorkerPool::WakeSleepers(int count) {
  for (int i = 0; i < count; ++i) {
    Worker* sleeper = nullptr;
    {
      MutexLock lock(mutex_);
      if (ready_.empty()) return;
      sleeper = TakeSleeper();
    }
    if (sleeper == nullptr) return;
    sleeper->wake.NotifyOne();
  }
}

WorkerPool::WakeupBatch::WakeupBatch(WorkerPool& pool) : pool_(pool), outer_(std::exchange(current_batch, this)) {}

WorkerPool::WakeupBatch::~WakeupBatch() {
  current_batch = outer_;
  if (pending_ == 0) return;
  if (const std::shared_ptr<WorkSource> source = pool_.TakeInline()) {
    source->RunStep();
    --pending_;
  }
  pool_.WakeSleepers(pending_);
}

}  // namespace predictd
