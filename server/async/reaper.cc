#include "server/async/reaper.h"

#include "server/async/background_thread.h"

namespace predictd {

Reaper::Reaper() : thread_(&Reaper::Run, this) {}

Reaper::~Reaper() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  // Whoever waits for the end helps, because the thread gets little time on a busy machine.
  while (Clear()) {
  }
  thread_.join();
  while (Clear()) {
  }
}

void Reaper::Bury(Remains* remains) noexcept {
  const MutexLock lock(mutex_);
  remains->next = dropped_;
  dropped_ = remains;
  changed_.NotifyAll();
}

void Reaper::Finish() {
  MutexLock lock(mutex_);
  while (dropped_ != nullptr || busy_ > 0) changed_.Wait(mutex_);
}

bool Reaper::Clear() noexcept {
  Remains* dropped = nullptr;
  {
    const MutexLock lock(mutex_);
    if (dropped_ == nullptr) return false;
    std::swap(dropped, dropped_);
    ++busy_;
  }
  while (dropped != nullptr) delete std::exchange(dropped, dropped->next);
  const MutexLock lock(mutex_);
  --busy_;
  changed_.NotifyAll();
  return true;
}

void Reaper::Run() {
  MakeBackgroundThread();
  while (true) {
    {
      MutexLock lock(mutex_);
      while (dropped_ == nullptr && !stopping_) changed_.Wait(mutex_);
      if (dropped_ == nullptr) return;
    }
    Clear();
  }
}

}  // namespace predictd
