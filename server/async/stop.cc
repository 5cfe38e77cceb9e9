#include "server/async/stop.h"

#include <utility>

namespace predictd {

bool StopSource::RequestStop(StopReason reason) {
  mutex_.Lock();
  if (stopped()) {
    mutex_.Unlock();
    return false;
  }
  reason_.store(reason, std::memory_order_release);
  bool left = false;
  left_ = &left;
  while (callbacks_ != nullptr) {
    StopCallback* callback = callbacks_;
    callbacks_ = callback->next_;
    if (callbacks_ != nullptr) callbacks_->previous_ = nullptr;
    callback->listed_ = false;
    running_ = callback;
    running_thread_ = std::this_thread::get_id();
    mutex_.Unlock();
    {
      // The function is moved out because it may destroy its own callback. What it captured may own other callbacks, so
      // it is destroyed without the lock.
      const std::function<void()> function = std::move(callback->function_);
      function();
    }
    if (left) return true;
    mutex_.Lock();
    running_ = nullptr;
    callback_ended_.NotifyAll();
  }
  left_ = nullptr;
  mutex_.Unlock();
  return true;
}

void StopSource::LeaveRequestStop() {
  MutexLock lock(mutex_);
  while (running_ != nullptr && running_thread_ != std::this_thread::get_id()) callback_ended_.Wait(mutex_);
  if (running_ != nullptr) *left_ = true;
}

StopCallback::StopCallback(StopSource& source, std::function<void()> function)
    : source_(source), function_(std::move(function)) {
  {
    MutexLock lock(source_.mutex_);
    if (!source_.stopped()) {
      next_ = source_.callbacks_;
      if (next_ != nullptr) next_->previous_ = this;
      source_.callbacks_ = this;
      listed_ = true;
      return;
    }
  }
  std::exchange(function_, nullptr)();
}

StopCallback::~StopCallback() {
  MutexLock lock(source_.mutex_);
  if (listed_) {
    if (previous_ != nullptr) previous_->next_ = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    if (source_.callbacks_ == this) source_.callbacks_ = next_;
    return;
  }
  while (source_.running_ == this && source_.running_thread_ != std::this_thread::get_id()) {
    source_.callback_ended_.Wait(source_.mutex_);
  }
}

}  // namespace predictd
