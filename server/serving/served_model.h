#ifndef PREDICTD_SERVER_SERVING_SERVED_MODEL_H_
#define PREDICTD_SERVER_SERVING_SERVED_MODEL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/serving/served_version.h"
#include "server/serving/traffic_router.h"

namespace predictd {

// Returns the labels that are in force: each stands for the version that `wanted` says, or, as long as that one is not
// ready, for the one that it stood for in `last`, if that one is.
VersionLabels LabelsInForce(const VersionLabels& wanted, const VersionLabels& last,
                            const std::vector<std::shared_ptr<ServedVersion>>& versions);

// A model with its versions, newest first. A version that is being replaced comes after its successor. Immutable apart
// from the versions' states; thread-safe.
class ServedModel {
 public:
  struct Spec {
    std::string name;
    // What is wrong with the model's folder; if it was wrong from the beginning, there is no configuration.
    absl::Status status = {};
    // That of model.toml when it was last right. A version that was loaded earlier may have another one.
    std::shared_ptr<const ModelConfig> config;
    std::shared_ptr<CallSubject> subject = nullptr;
    // The labels in force: those of the configuration, apart from those that wait for the version that they move to.
    VersionLabels labels = {};
    // Whether the model is to serve. If not, none of its versions is wanted.
    bool loaded = true;
    // Whether the model was unloaded only until the next request comes, and is not ready again yet.
    bool asleep = false;
    // Which versions get the requests that name none; null: the newest one that is ready.
    std::shared_ptr<const TrafficRouter> traffic = nullptr;
    // The versions that the folder asks for, newest first.
    std::vector<int64_t> wanted = {};
    std::vector<std::shared_ptr<ServedVersion>> versions = {};
  };

  explicit ServedModel(Spec spec) : spec_(std::move(spec)) {}

  const std::string& name() const { return spec_.name; }
  const absl::Status& status() const { return spec_.status; }
  const ModelConfig& config() const { return *spec_.config; }
  const VersionLabels& labels() const { return spec_.labels; }
  bool loaded() const { return spec_.loaded; }
  bool asleep() const { return spec_.asleep; }
  // Null if there is no split.
  const TrafficRouter* traffic() const { return spec_.traffic.get(); }
  const std::shared_ptr<CallSubject>& subject() const { return spec_.subject; }
  const std::vector<std::shared_ptr<ServedVersion>>& versions() const { return spec_.versions; }

  // The version to run; 0 stands for the newest one that is ready. NOT_FOUND lists the versions; UNAVAILABLE comes with
  // advice on when to retry if the version is still loading, and not to retry if it could not be loaded or has been
  // unloaded.
  absl::StatusOr<std::shared_ptr<const ServedVersion>> Choose(int64_t version) const;

  // The same for the version with that label. NOT_FOUND lists the labels.
  absl::StatusOr<std::shared_ptr<const ServedVersion>> Choose(absl::string_view label) const;

  // The same for a request that names no version: one of the versions of the traffic split, or the newest that is
  // ready.
  absl::StatusOr<std::shared_ptr<const ServedVersion>> Route(absl::string_view traffic_key) const;

  // The version to which the next request is to be copied; null if it is not to be copied.
  std::shared_ptr<const ServedVersion> Shadow() const;

  // The number of the version with that label, whatever its state. NOT_FOUND lists the labels.
  absl::StatusOr<int64_t> Labelled(absl::string_view label) const;

  // UNAVAILABLE if the model's folder is wrong, so that there is no configuration.
  absl::Status CheckConfigured() const;

  // Null if there is no such version. While a version is being replaced, there are two of that number; this is the one
  // that is ready.
  const ServedVersion* Find(int64_t version) const;
  // Whether the version is the one that Find returns for its number.
  bool Shows(const ServedVersion& version) const { return Find(version.number()) == &version; }
  // NOT_FOUND, which lists the versions.
  absl::Status NoVersion(int64_t version) const;

  // Null if none is ready.
  const ServedVersion* NewestReady() const;

  // The version with that number or label if it is ready; null otherwise.
  std::shared_ptr<const ServedVersion> FindReady(absl::string_view name) const;

  bool ready() const { return NewestReady() != nullptr; }
  // Whether requests are answered, even if they have to wait for the model to be loaded.
  bool serving() const { return ready() || (asleep() && !failed()); }
  // Whether any version has failed.
  bool failed() const;
  bool loading() const;

  const Spec& spec() const { return spec_; }

 private:
  const Spec spec_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_SERVED_MODEL_H_
