#ifndef PREDICTD_SERVER_SERVING_LOADER_H_
#define PREDICTD_SERVER_SERVING_LOADER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/async/reaper.h"
#include "server/serving/served_version.h"

namespace predictd {

// What an operator should know about a version that has become ready, for the log only. A field is empty if there is
// nothing to say.
struct LoadFindings {
  std::string note;
  // The batches that the warm-up ran, and how long each took.
  std::string warm_up;
  // Why batches are smaller than model.toml allows.
  std::string shortage;
  // The most rows of a batch; 0 for a generator.
  int64_t most_rows = 0;
  // How much memory the runs that may happen at once take, as far as it was measured.
  int64_t working_bytes = 0;
};

// Brings versions from kLoading to kReady or kFailed, one after the other in the order in which it is told to, on its
// own thread at low priority. So neither event loops nor workers (apart from the runs of a warm-up) wait for files.
// Thread-safe.
class Loader {
 public:
  // Reads the version and warms it up; gives up with CANCELLED soon after `stopping` has become true.
  using LoadFunction =
      std::function<absl::StatusOr<Servable>(ServedVersion&, const std::atomic<bool>& stopping, LoadFindings&)>;
  // Is told about each version that has become ready or failed, on the loader's thread. After a failure, `status` has
  // the cause, for the log only.
  using Observer = std::function<void(const ServedVersion&, const absl::Status& status, const LoadFindings& findings)>;

  // `reaper` is where a version ends that could not be loaded; it outlives the loader.
  Loader(LoadFunction load, Observer observer, Reaper& reaper);
  // Waits for the file that is being read or the warm-up run; versions that are not ready stay in kLoading.
  ~Loader();

  // Queues a version that is in kLoading.
  void Load(std::shared_ptr<ServedVersion> version);

  // Stops like the destructor, but waits no longer than until `when`. False if something still runs; the destructor
  // then waits for it.
  bool StopBy(TimePoint when);

 private:
  void Run();
  // Null once the loader is to stop.
  std::shared_ptr<ServedVersion> Next();
  void LoadOne(ServedVersion& version);
  void RequestStop();

  const LoadFunction load_;
  const Observer observer_;
  Reaper& reaper_;
  std::atomic<bool> stopping_{false};
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<ServedVersion>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_LOADER_H_
