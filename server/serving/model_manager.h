#ifndef PREDICTD_SERVER_SERVING_MODEL_MANAGER_H_
#define PREDICTD_SERVER_SERVING_MODEL_MANAGER_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/async/reaper.h"
#include "server/files/folder_watch.h"
#include "server/model/repository.h"
#include "server/serving/catalog.h"
#include "server/serving/loader.h"
#include "server/serving/model_commands.h"
#include "server/serving/traffic_judge.h"

namespace predictd {

// What becomes of models. One thread at a time calls it.
class ModelObserver {
 public:
  virtual ~ModelObserver() = default;

  // A version has become ready or failed. After a failure, `status` has the cause, for the log only.
  virtual void OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings) = 0;
  // The model's folder was read again. If it is wrong (ServedModel::status), what was served before goes on.
  virtual void OnChanged(const ServedModel& model) = 0;
  // A version takes no more calls, as others have taken its place or the model is unloaded.
  virtual void OnRetired(const ServedVersion& version) = 0;
  // The model is not to serve any more, or not until the next request.
  virtual void OnUnloaded(const ServedModel& model) = 0;
  // A request has come for a model that was unloaded until then.
  virtual void OnWaking(const ServedModel& model) = 0;
  // Another traffic split holds, or none. `why` is empty unless a rule of the split before says so.
  virtual void OnTraffic(const ServedModel& model, const std::string& why) = 0;
  // The model's folder is gone.
  virtual void OnRemoved(const std::string& model) = 0;
  // The repository cannot be read, or can be read again; what was served before goes on.
  virtual void OnRepository(const absl::Status& status) = 0;
};

// Whoever says what is served: the repository as it is, the repository when it was first read, or commands.
enum class ModelControl { kRepository, kFixed, kCommands };

// Keeps the catalog up to date with the model repository and with commands, on a thread of its own and the loader's.
//
// A folder that has changed is read once it has been still for a while, so that nothing is loaded that is still being
// copied; a folder that is renamed into its place is complete, but waits as long. New versions, and versions of which
// the files or the configuration have changed, are loaded and warmed up beside those that serve, and take over in one
// step when they are ready. Only when all versions that the folder asks for are ready, those that it asks for no longer
// are taken out of service, and are gone when their last call has ended. Whatever is wrong, be it the folder, its
// model.toml or a file, what served before goes on. Thread-safe.
class ModelManager {
 public:
  struct Options {
    std::filesystem::path repository;
    absl::Span<const Backend> backends;
    // Unless it is kCommands, commands load and unload no models.
    ModelControl control = ModelControl::kRepository;
    // How often to look for changes, should the system not tell of them by itself.
    Duration interval = std::chrono::seconds(5);
    // How long a folder must be still.
    Duration settle = std::chrono::seconds(2);
    // After how long without requests a model is unloaded until the next one, unless its configuration says otherwise;
    // zero: never.
    Duration idle_unload = Duration::zero();
  };

  // `models` is what was found in the repository before, and what the catalog holds; what of it is to serve is loaded
  // from now on.
  // The references outlive the manager.
  ModelManager(Options options, const std::vector<ModelEntry>& models, Catalog& catalog, Loader::LoadFunction load,
               ModelObserver& observer, Reaper& reaper);
  // Waits for the file that is being read or the warm-up run.
  ~ModelManager();
  ModelManager(const ModelManager&) = delete;
  ModelManager& operator=(const ModelManager&) = delete;

  // Reads all folders again, and loads once more what could not be loaded. Any thread may call it.
  void Reload();

  // Stops like the destructor, but waits no longer than until `when`. False if something still runs; the destructor
  // then waits for it.
  bool StopBy(TimePoint when);

 private:
  // A folder as the repository had it.
  struct Folder {
    // Its stamp when it was last read, and when it was last looked at; 0 if there was none.
    uint64_t read = 0;
    uint64_t seen = 0;
    // Whether it is to be read again although it has not changed.
    bool again = false;
    // Since when it has been as it was seen.
    TimePoint since;
  };

  void Run();
  void Execute(const std::shared_ptr<PendingCommand>& pending);
  // These carry a command out, or say why they do not; a command to load goes on after that.
  absl::Status Load(const ModelCommand& command);
  // Returns whether the model is being loaded.
  bool Wake(const std::string& name);
  absl::Status Unload(const ModelCommand& command);
  // Takes all versions out of service.
  void PutUnloaded(const ServedModel& model, bool asleep) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Unloads what has had no requests for long, and returns when to look again.
  TimePoint UnloadIdle(TimePoint now);
  absl::Status SetTraffic(const ModelCommand& command, std::optional<TrafficSplit>& previous);
  void PutTraffic(const ServedModel& model, std::shared_ptr<const TrafficRouter> traffic, const std::string& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends the commands whose models have been loaded or have failed.
  void EndCommands();
  // Applies the rules of traffic splits, and returns when to do so again.
  TimePoint JudgeTraffic(TimePoint now);
  // Looks at the repository, and returns when to look again.
  TimePoint Look(TimePoint now);
  absl::StatusOr<std::map<std::string, uint64_t>> StampModels() const;
  // Returns when to look at the folder again because it is not still yet; kNever if it need not be.
  TimePoint LookAt(const std::string& model, uint64_t stamp, TimePoint now);
  void Update(const ModelEntry& entry, bool anew = false);
  void Remove(const std::string& model);
  // Has those versions loaded that `last`, if it is not null, does not have.
  void LoadNew(const ServedModel& model, const ServedModel* last);
  // Whether the catalog still has this version.
  bool IsServed(const ServedVersion& version) const;
  // Whether the repository still has it as it was read.
  bool IsCurrent(const ServedVersion& version) const;
  void OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& findings);
  // Takes out of service what others have taken the place of, and forgets what has been unloaded.
  void Settle(const ServedModel& model) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SettleAll();

  const Options options_;
  Catalog& catalog_;
  ModelObserver& observer_;
  FolderWatch watch_;
  std::atomic<bool> stopping_{false};

  std::atomic<bool> reload_{false};

  // Belong to the thread.
  std::map<std::string, Folder> folders_;
  absl::Status repository_;
  // The file system that the repository is on.
  const uint64_t device_;
  TrafficJudge judge_;
  // When each model had its last request, as far as that was looked at.
  std::map<std::string, TimePoint> last_used_;
  // When each model that sleeps was last woken.
  std::map<std::string, TimePoint> last_woken_;
  // How many versions were draining at the last look.
  size_t draining_ = 0;

  // Held while the catalog is changed and while the observer is called.
  Mutex mutex_;
  CondVar changed_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  // Commands whose models are being loaded.
  std::vector<std::shared_ptr<PendingCommand>> loading_ ABSL_GUARDED_BY(mutex_);

  Loader loader_;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_MODEL_MANAGER_H_
