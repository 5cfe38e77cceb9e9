#ifndef PREDICTD_SERVER_ENGINE_LOADER_H_
#define PREDICTD_SERVER_ENGINE_LOADER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "absl/status/statusor.h"
#include "server/engine/catalog.h"
#include "server/engine/model_runner.h"
#include "server/model/model.h"

namespace predictd {

// Brings every version of a catalog from kLoading to kReady or kFailed, on a thread of its own at low priority: read,
// warm up on every worker, publish. So neither event loops nor (beyond a warm-up run) workers wait for files.
class Loader {
 public:
  using LoadFunction = std::function<absl::StatusOr<std::unique_ptr<Model>>(const VersionEntry&, const Signature&)>;
  // Told about each version that has become ready or failed, on the loader's thread. For a failure, `status` has the
  // cause: for the log only.
  using Observer = std::function<void(const ServedModel&, const ServedVersion&, const absl::Status& status)>;
  using RunnerFactory =
      std::function<std::shared_ptr<ModelRunner>(const ServedModel&, const ServedVersion&, std::unique_ptr<Model>)>;

  // Reads and warms up a generator.
  using GeneratorFactory =
      std::function<absl::StatusOr<std::shared_ptr<Generator>>(const ServedModel&, const ServedVersion&)>;

  // Starts at once. Catalog and pool outlive the loader.
  Loader(Catalog& catalog, WorkerPool& pool, LoadFunction load, RunnerFactory make_runner,
         GeneratorFactory make_generator, Observer observer);
  // Waits for the version that is being read; those after it stay in kLoading.
  ~Loader();

 private:
  void Run();
  // Makes the version ready, or returns why not.
  absl::Status Bring(const ServedModel& model, ServedVersion& version);
  absl::StatusOr<std::shared_ptr<ModelRunner>> Load(const ServedModel& model, const ServedVersion& version);
  absl::Status WarmUp(ModelRunner& runner, const WarmUpOptions& options);

  Catalog& catalog_;
  WorkerPool& pool_;
  const LoadFunction load_;
  const RunnerFactory make_runner_;
  const GeneratorFactory make_generator_;
  const Observer observer_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_LOADER_H_
