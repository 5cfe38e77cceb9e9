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
#include "server/async/mutex.h"
#include "server/async/reaper.h"
#include "server/model/repository.h"
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
};

// What is served. Readers take a snapshot, once a call, and hold what they need of it; writers publish a new one.
// Thread-safe.
class Catalog {
 public:
  // A catalog with all versions in kLoading, apart from those whose folder is wrong. Versions end on the reaper, which
  // must outlive the catalog and all references.
  Catalog(const std::vector<ModelEntry>& entries, Reaper& reaper, CatalogParts parts = {});

  std::shared_ptr<const CatalogSnapshot> snapshot() const;

  // Makes a model of a folder, without publishing it. New versions are in kLoading or, if their folder is wrong, in
  // kFailed. `last` is the model of that name that there is, or null: of its versions those stay that have not changed,
  // and also all others that serve.
  std::shared_ptr<const ServedModel> MakeModel(const ModelEntry& entry, const ServedModel* last = nullptr) const;

  // Publishes a model, in the place of one with the same name if there is one.
  void Put(std::shared_ptr<const ServedModel> model);
  // Takes a model out of service: calls that have a version of it go on.
  void Remove(absl::string_view model);

  // Takes a version out of service: calls no longer find it, and those that have it go on. The catalog shows it as
  // draining, and as unloaded once the last of them has ended. NOT_FOUND if there is no such version.
  absl::Status Retire(absl::string_view model, int64_t version);

 private:
  std::shared_ptr<ServedVersion> MakeVersion(const VersionEntry& version, const ServedModel::Spec& model) const;
  void Publish(CatalogSnapshot::Models models) ABSL_EXCLUSIVE_LOCKS_REQUIRED(writer_);

  Reaper& reaper_;
  const CatalogParts parts_;
  // Held by whoever changes the catalog.
  Mutex writer_;
  // Held only while the pointer is copied.
  mutable Mutex mutex_;
  std::shared_ptr<const CatalogSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_CATALOG_H_
