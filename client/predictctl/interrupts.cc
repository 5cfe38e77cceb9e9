#include "client/predictctl/interrupts.h"

#include <utility>

namespace predictd {

void Interrupts::CancelOnInterrupt(std::shared_ptr<CallControl> control) {
  absl::MutexLock lock(&mutex_);
  control_ = std::move(control);
  clear_ = nullptr;
}

void Interrupts::DropPromptOnInterrupt(std::function<void()> clear) {
  absl::MutexLock lock(&mutex_);
  control_ = nullptr;
  clear_ = std::move(clear);
}

bool Interrupts::Interrupt() {
  absl::MutexLock lock(&mutex_);
  if (clear_ == nullptr) return Cancel();
  clear_();
  return true;
}

bool Interrupts::Terminate() {
  absl::MutexLock lock(&mutex_);
  terminated_ = true;
  return Cancel();
}

bool Interrupts::terminated() const {
  absl::MutexLock lock(&mutex_);
  return terminated_;
}

bool Interrupts::Cancel() {
  if (control_ == nullptr || control_->cancelled()) return false;
  control_->Cancel();
  return true;
}

}  // namespace predictd
