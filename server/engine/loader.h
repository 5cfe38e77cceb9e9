#ifndef PREDICTD_SERVER_ENGINE_LOADER_H_
#define PREDICTD_SERVER_ENGINE_LOADER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/engine/catalog.h"
#include "server/engine/model_runner.h"
#include "server/model/model.h"

namespace predictd {

// Brings every version of a catalog from kLoading to kReady or kFailed, on a thread of its own at low priority: read,
// warm up on every worker, publish. So neither event loops nor (beyond a warm-up run) workers wait for files.
class Loader {
 public:
  using LoadFunction = std::function<absl::StatusOr<std::unique_ptr<Model>>(const VersionEntry&, const ModelConfig&)>;
  // Told about each version that has become ready or failed, on the loader's thread. For a failure, `status` has the
  // cause; `note` says what an operator should know of one that is ready, or is empty: both for the log only.
  using Observer =
      std::function<void(const ServedModel&, const ServedVersion&, const absl::Status& status, absl::string_view note)>;
  using RunnerFactory =
      std::function<std::shared_ptr<ModelRunner>(const ServedModel&, const ServedVersion&, std::unique_ptr<Model>)>;

  // Reads and warms up a generator; gives up soon after `stopping` has become true.
  using GeneratorFactory = std::function<absl::StatusOr<std::shared_ptr<Generator>>(
      const ServedModel&, const ServedVersion&, const std::atomic<bool>& stopping)>;

  // Starts at once. Catalog and pool outlive the loader.
  Loader(Catalog& catalog, WorkerPool& pool, LoadFunction load, RunnerFactory make_runner,
         GeneratorFactory make_generator, Observer observer);
  // Waits for the file that is being read or the warm-up's run; versions that are not ready stay in kLoading.
  ~Loader();

  // The same, but waits no longer than that: false if something still runs. Then the destructor waits for it.
  bool StopBy(TimePoint when);

 private:
  void Run();
  void LoadAll();
  // Makes the version ready, or returns why not. CANCELLED: the loader stops.
  absl::Status Bring(const ServedModel& model, ServedVersion& version, std::string& note);
  absl::StatusOr<std::shared_ptr<ModelRunner>> Load(const ServedModel& model, const ServedVersion& version,
                                                    std::string& note);
  absl::Status WarmUp(ModelRunner& runner, const WarmUpOptions& options, std::string& note);

  Catalog& catalog_;
  WorkerPool& pool_;
  const LoadFunction load_;
  const RunnerFactory make_runner_;
  const GeneratorFactory make_generator_;
  const Observer observer_;
  std::atomic<bool> stopping_{false};
  Mutex mutex_;
  CondVar ended_changed_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_LOADER_H_
