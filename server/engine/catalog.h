#ifndef PREDICTD_SERVER_ENGINE_CATALOG_H_
#define PREDICTD_SERVER_ENGINE_CATALOG_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/engine/model_runner.h"
#include "server/engine/response_cache.h"
#include "server/model/repository.h"

namespace predictd {

// In server/generation, which this does not know.
class Generator;

// How far a version is.
enum class VersionState { kLoading, kReady, kFailed };

// One version of a served model. The loader moves it out of kLoading once; everybody else reads. Thread-safe.
class ServedVersion {
 public:
  explicit ServedVersion(VersionEntry entry, std::shared_ptr<ResponseCache> cache = nullptr)
      : entry_(std::move(entry)), cache_(std::move(cache)) {}

  const VersionEntry& entry() const { return entry_; }
  // Null if the model has none.
  const std::shared_ptr<ResponseCache>& cache() const { return cache_; }
  VersionState state() const { return state_.load(std::memory_order_acquire); }
  // Only in kReady: one of the two, by the model's kind; the other is null.
  const std::shared_ptr<ModelRunner>& runner() const { return runner_; }
  const std::shared_ptr<Generator>& generator() const { return generator_; }
  // For callers: only in kFailed.
  const std::string& reason() const { return reason_; }

  void SetReady(std::shared_ptr<ModelRunner> runner, std::shared_ptr<Generator> generator = nullptr) {
    runner_ = std::move(runner);
    generator_ = std::move(generator);
    state_.store(VersionState::kReady, std::memory_order_release);
  }
  void SetFailed(std::string reason) {
    reason_ = std::move(reason);
    state_.store(VersionState::kFailed, std::memory_order_release);
  }

 private:
  const VersionEntry entry_;
  const std::shared_ptr<ResponseCache> cache_;
  std::shared_ptr<ModelRunner> runner_;
  std::shared_ptr<Generator> generator_;
  std::string reason_;
  std::atomic<VersionState> state_{VersionState::kLoading};
};

// Makes the cache of a version whose model has one.
using ResponseCacheFactory = std::function<std::shared_ptr<ResponseCache>(const ModelEntry& model, int64_t version)>;

// A model of the repository with its versions, newest first. The set is fixed for the life of the process. Thread-safe.
class ServedModel {
 public:
  // Without a factory there are no caches.
  explicit ServedModel(ModelEntry entry, const ResponseCacheFactory& make_cache = nullptr);

  const std::string& name() const { return entry_.name; }
  // What is wrong with its folder; then there are no versions.
  const absl::Status& status() const { return entry_.status; }
  const ModelConfig& config() const { return entry_.config; }
  const std::vector<std::unique_ptr<ServedVersion>>& versions() const { return versions_; }

  // The version to run; 0 is the newest that is ready. NOT_FOUND lists the versions; UNAVAILABLE (with advice on when
  // to retry) if it still loads or could not be loaded.
  absl::StatusOr<ServedVersion*> Choose(int64_t version) const;

  bool ready() const;
  bool loading() const;

 private:
  const ModelEntry entry_;
  std::vector<std::unique_ptr<ServedVersion>> versions_;
};

// All models, by name. Immutable, thread-safe.
class Catalog {
 public:
  // Without a factory there are no caches.
  explicit Catalog(std::vector<ModelEntry> entries, const ResponseCacheFactory& make_cache = nullptr);

  const std::map<std::string, ServedModel, std::less<>>& models() const { return models_; }

  // NOT_FOUND names the models that exist.
  absl::StatusOr<const ServedModel*> Find(absl::string_view name) const;

  // Whether any version is still being loaded.
  bool loading() const;

 private:
  std::map<std::string, ServedModel, std::less<>> models_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_CATALOG_H_
