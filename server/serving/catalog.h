#ifndef PREDICTD_SERVER_SERVING_CATALOG_H_
#define PREDICTD_SERVER_SERVING_CATALOG_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/async/change_signal.h"
#include "server/async/mutex.h"
#include "server/async/reaper.h"
#include "server/model/repository.h"
#include "server/serving/model_commands.h"
#include "server/serving/served_model.h"

namespace predictd {

// All models at one time, by name. Immutable apart from the versions' states; thread-safe.
class CatalogSnapshot {
 public:
  using Models = std::map<std::string, std::shared_ptr<const ServedModel>, std::less<>>;

  explicit CatalogSnapshot(Models models) : models_(std::move(models)) {}

  const Models& models() const { return models_; }
  // NOT_FOUND names the models that exist.
  absl::StatusOr<std::shared_ptr<const ServedModel>> Find(absl::string_view name) const;
  // Whether any version is still loading.
  bool loading() const;

 private:
  const Models models_;
};

// Makes what models and versions have beside what is in their folders. Each may be null: then there is none.
struct CatalogParts {
  std::function<std::shared_ptr<CallSubject>(const std::string& model)> subject = nullptr;
  // Called for models that want a cache.
  std::function<std::shared_ptr<ResponseCache>(const std::string& model, const ModelConfig& config, int64_t version)>
      cache = nullptr;
  // Whether a model is to serve from the beginning; null: each is.
  std::function<bool(const std::string& model)> loaded = nullptr;
};

// What is served. Readers take a snapshot, once a call, and hold what they need of it; writers publish a new one.
// Thread-safe.
class Catalog {
 public:
  // A catalog with all versions in kLoading, apart from those whose folder is wrong or whose model is not to serve.
  // Versions end on the reaper, which must outlive the catalog and all references.
  Catalog(const std::vector<ModelEntry>& entries, Reaper& reaper, CatalogParts parts = {});

  std::shared_ptr<const CatalogSnapshot> snapshot() const;

  // What calls want changed. The model manager takes it from here.
  ModelCommands& commands() const { return commands_; }

  // Tells of changes, whenever Announce is called.
  ChangeSignal& changes() { return changes_; }
  // Tells all who watch that models or the states of versions have changed. They go on on this thread, so it is called
  // without locks.
  void Announce() { changes_.Notify(); }

  // Makes a model of a folder, without publishing it. New versions are in kLoading or, if their folder is wrong, in
  // kFailed. `last` is the model of that name that there is, or null: of its versions those stay that have not changed,
  // unless all are to be loaded `anew`, and also all others that serve. A traffic split that was set by a call stays.
  std::shared_ptr<const ServedModel> MakeModel(const ModelEntry& entry, const ServedModel* last = nullptr,
                                               bool anew = false) const;
  // Makes a model that is not to serve, without publishing it: its versions are in kUnloaded.
  std::shared_ptr<const ServedModel> MakeUnloaded(const ModelEntry& entry) const;
  // Makes a model that sleeps once more, without publishing it: the versions that serve it are in kLoading.
  std::shared_ptr<const ServedModel> MakeWaking(const ServedModel& last) const;

  // Publishes a model, in the place of one with the same name if there is one.
  void Put(std::shared_ptr<const ServedModel> model);
  // Takes a model out of service: calls that have a version of it go on.
  void Remove(absl::string_view model);

 private:
  ServedModel::Spec MakeSpec(const ModelEntry& entry, const ServedModel* last) const;
  // `spec` lacks its cache.
  std::unique_ptr<ServedVersion> MakeVersion(ServedVersion::Spec spec) const;
  void Publish(CatalogSnapshot::Models models) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);

  Reaper& reaper_;
  const CatalogParts parts_;
  mutable ModelCommands commands_;
  ChangeSignal changes_;
  // Held by whoever changes the catalog.
  Mutex writer_;
  // Held only while the pointer is copied.
  mutable Mutex mutex_;
  std::shared_ptr<const CatalogSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_CATALOG_H_
