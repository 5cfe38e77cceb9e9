#include "server/serving/model_commands.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/async/retry_advice.h"

namespace predictd {

absl::StatusOr<std::shared_ptr<PendingCommand>> ModelCommands::Add(ModelCommand command) {
  const MutexLock lock(mutex_);
  const bool wake = command.kind == ModelCommand::Kind::kWake;
  if (wake) {
    if (const auto found = waking_.find(command.model); found != waking_.end()) return found->second;
  }
  if (pending_ >= kMostPending) {
    return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(pending_, " changes of models wait already")),
                          absl::Seconds(1));
  }
  auto pending = std::make_shared<PendingCommand>(std::move(command));
  added_.reserve(added_.size() + 1);
  if (wake) waking_.emplace(pending->command().model, pending);
  added_.push_back(pending);
  ++pending_;
  if (wake_ != nullptr) wake_();
  return pending;
}

void ModelCommands::SetWake(std::function<void()> wake) {
  const MutexLock lock(mutex_);
  wake_ = std::move(wake);
}

std::vector<std::shared_ptr<PendingCommand>> ModelCommands::Take() {
  const MutexLock lock(mutex_);
  return std::exchange(added_, {});
}

void ModelCommands::End(PendingCommand& command, absl::Status outcome, std::optional<TrafficSplit> previous) {
  {
    const MutexLock lock(mutex_);
    --pending_;
    if (command.command().kind == ModelCommand::Kind::kWake) waking_.erase(command.command().model);
  }
  {
    const MutexLock lock(command.mutex_);
    command.outcome_ = std::move(outcome);
    command.previous_ = std::move(previous);
  }
  command.ended_.Notify();
}

}  // namespace predictd
