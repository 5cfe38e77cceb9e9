#ifndef PREDICTD_SERVER_SERVING_MODEL_COMMANDS_H_
#define PREDICTD_SERVER_SERVING_MODEL_COMMANDS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/async/change_signal.h"
#include "server/async/mutex.h"
#include "server/model/traffic_split.h"

namespace predictd {

// Something that is to change in what is served.
struct ModelCommand {
  enum class Kind {
    // Read the folder, and load what is new, has changed, or could not be loaded.
    kLoad,
    // The same for all versions, changed or not.
    kReload,
    kUnload,
    // Load a model that is asleep.
    kWake,
    kSetTraffic,
  };
  Kind kind = Kind::kLoad;
  std::string model;
  // For kSetTraffic. Not set: back to what model.toml says.
  std::optional<TrafficSplit> traffic = {};
};

// A command on its way. Thread-safe.
class PendingCommand {
 public:
  explicit PendingCommand(ModelCommand command) : command_(std::move(command)) {}

  const ModelCommand& command() const { return command_; }

  // Tells that there is an outcome.
  ChangeSignal& ended() { return ended_; }
  // The outcome; nullopt until there is one.
  std::optional<absl::Status> outcome() const {
    const MutexLock lock(mutex_);
    return outcome_;
  }
  // The split before kSetTraffic, once there is an outcome.
  std::optional<TrafficSplit> previous() const {
    const MutexLock lock(mutex_);
    return previous_;
  }

 private:
  friend class ModelCommands;
  const ModelCommand command_;
  ChangeSignal ended_;
  mutable Mutex mutex_;
  std::optional<absl::Status> outcome_ ABSL_GUARDED_BY(mutex_);
  std::optional<TrafficSplit> previous_ ABSL_GUARDED_BY(mutex_);
};

// The way of commands from calls to the model manager, which may not be there yet. Thread-safe.
class ModelCommands {
 public:
  // Commands that nobody has carried out yet; more are refused.
  static constexpr size_t kMostPending = 1000;

  // RESOURCE_EXHAUSTED if there are too many. Of commands to wake a model there is one at a time: all who want that get
  // the same.
  absl::StatusOr<std::shared_ptr<PendingCommand>> Add(ModelCommand command);

  // For the manager: what is called, on the caller's thread, when there is a command; null: nothing. Afterwards the
  // function that was set before is not called any more.
  void SetWake(std::function<void()> wake);
  // Takes the commands that have been added, the first one first.
  std::vector<std::shared_ptr<PendingCommand>> Take();
  // To be called once for each; whoever waits for it goes on, on this thread.
  void End(PendingCommand& command, absl::Status outcome, std::optional<TrafficSplit> previous = std::nullopt);

 private:
  Mutex mutex_;
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<PendingCommand>> added_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<PendingCommand>> waking_ ABSL_GUARDED_BY(mutex_);
  size_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_MODEL_COMMANDS_H_
