#ifndef PREDICTD_SERVER_SERVING_SERVED_VERSION_H_
#define PREDICTD_SERVER_SERVING_SERVED_VERSION_H_

#include <atomic>
#include <memory>
#include <string>
#include <variant>

#include "server/engine/model_runner.h"
#include "server/engine/response_cache.h"
#include "server/generation/generator.h"
#include "server/model/repository.h"

namespace predictd {

class CallSubject;

// Where a version is in its life.
//
//   kLoading  -> kReady    it was loaded and warmed up
//             -> kFailed   it could not be
//   kDraining -> kUnloaded the last call that uses it has ended
//
// A version that is taken out of service does not change: calls may still use it. The catalog shows another one in its
// place, which begins in kDraining.
enum class VersionState { kLoading, kReady, kDraining, kUnloaded, kFailed };

// What runs a version, depending on the kind of its model.
using Servable = std::variant<std::shared_ptr<ModelRunner>, std::shared_ptr<Generator>>;

// One version of a served model with the configuration that it was loaded with. Whoever has a reference may use it,
// even if the catalog has another one by now. The loader moves it out of kLoading once; everybody else only reads.
// Thread-safe.
class ServedVersion {
 public:
  struct Spec {
    std::string model;
    VersionEntry entry;
    std::shared_ptr<const ModelConfig> config;
    // For reports of calls; null in tests that have none.
    std::shared_ptr<CallSubject> subject = nullptr;
    // Null if the model has none.
    std::shared_ptr<ResponseCache> cache = nullptr;
  };

  explicit ServedVersion(Spec spec, VersionState state = VersionState::kLoading)
      : spec_(std::move(spec)), state_(state) {}
  // Tells its successor, if it has one, that it is gone.
  ~ServedVersion() {
    if (successor_ != nullptr) successor_->state_.store(VersionState::kUnloaded, std::memory_order_release);
  }
  ServedVersion(const ServedVersion&) = delete;
  ServedVersion& operator=(const ServedVersion&) = delete;

  const std::string& model() const { return spec_.model; }
  int64_t number() const { return spec_.entry.version; }
  const VersionEntry& entry() const { return spec_.entry; }
  const ModelConfig& config() const { return *spec_.config; }
  const std::shared_ptr<CallSubject>& subject() const { return spec_.subject; }
  VersionState state() const { return state_.load(std::memory_order_acquire); }

  // These are valid only in kReady. Of the first two, one is null, depending on the model's kind.
  ModelRunner* runner() const { return Get<ModelRunner>(); }
  Generator* generator() const { return Get<Generator>(); }
  // Null if the model has none.
  ResponseCache* cache() const { return spec_.cache.get(); }
  // What tensor requests must look like: there may be too little memory for the largest batch in model.toml.
  const Signature& signature() const { return runner() != nullptr ? runner()->signature() : config().signature; }

  // To be called whenever a request gets the version, so that it does not count as idle.
  void NoteUse() const {
    // Most find that it is noted already, and leave the line of the cache as it is.
    if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  }
  // Whether it has been called since this was last called.
  bool TakeUse() const { return used_.exchange(false, std::memory_order_relaxed); }

  // The reason for callers; valid only in kFailed.
  const std::string& reason() const { return reason_; }

  // Called before the version is ready if its answers are not always the same.
  void DropCache() { spec_.cache = nullptr; }
  void SetReady(Servable servable) {
    servable_ = std::move(servable);
    state_.store(VersionState::kReady, std::memory_order_release);
  }
  void SetFailed(std::string reason) {
    reason_ = std::move(reason);
    state_.store(VersionState::kFailed, std::memory_order_release);
  }

  // Returns what the catalog shows once this version takes no more calls: it is kDraining until this version is gone,
  // then kUnloaded. To be called once, by whoever changes the catalog.
  std::shared_ptr<ServedVersion> Retire() {
    successor_ = std::make_shared<ServedVersion>(Again(), VersionState::kDraining);
    return successor_;
  }

  // Returns what the catalog shows of a version that is not to serve and never did.
  std::shared_ptr<ServedVersion> Unloaded() const {
    return std::make_shared<ServedVersion>(Again(), VersionState::kUnloaded);
  }

  // What makes the same version once more, but for its cache, which the loader may be dropping at this moment.
  Spec Again() const {
    return {
        .model = spec_.model, .entry = spec_.entry, .config = spec_.config, .subject = spec_.subject, .cache = nullptr};
  }

 private:
  template <class T>
  T* Get() const {
    const auto* const found = std::get_if<std::shared_ptr<T>>(&servable_);
    return found == nullptr ? nullptr : found->get();
  }

  Spec spec_;
  Servable servable_;
  std::string reason_;
  std::atomic<VersionState> state_;
  mutable std::atomic<bool> used_{false};
  std::shared_ptr<ServedVersion> successor_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_SERVED_VERSION_H_
