#ifndef PREDICTD_SERVER_MODEL_MEMORY_PLAN_H_
#define PREDICTD_SERVER_MODEL_MEMORY_PLAN_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/async/mutex.h"

namespace predictd {

// What a generator's cache takes when all slots are full: those of answers and those of prefixes.
struct CacheDemand {
  int64_t slot_bytes = 0;
  int64_t slots = 0;
  int64_t prefix_slots = 0;
  // Positions of each slot.
  int64_t max_length = 0;

  // The product, or the largest int64_t if it does not fit.
  int64_t bytes() const;
};

// The memory that models may take, and the most that loaded models take of it. A cache counts in full when its model is
// loaded, although its memory is taken only as slots are used: what would fit only until all callers come at once does
// not fit. What other processes hold counts as it is at the moment. Thread-safe.
class MemoryPlan {
 public:
  // What one model takes, until the claim is destroyed. The plan must outlive it. Used by one thread at a time.
  class Claim {
   public:
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

    // Takes the model's cache as well. RESOURCE_EXHAUSTED with the figures, and with what would fit.
    absl::Status TakeCache(const CacheDemand& cache);
    // Records what those runs of the model take that may happen at once. Models take turns, so the largest figure of
    // any model counts.
    void NoteWorking(int64_t bytes);
    // The model serves: when it is gone, what it took may be enough for one that was refused.
    void NoteServing();
    // The model found too little memory after all, and is not going to serve.
    void NoteRefused();

   private:
    friend class MemoryPlan;
    Claim(MemoryPlan& plan, int64_t weights) : plan_(plan), weights_(weights) {}

    MemoryPlan& plan_;
    const int64_t weights_;
    int64_t cache_ = 0;
    int64_t working_ = 0;
    bool serving_ = false;
  };

  // The process can have `limit` bytes, of which `others` are not for models, and no more than `reachable` says at the
  // time, if there is one.
  MemoryPlan(int64_t limit, int64_t others, std::function<int64_t()> reachable = nullptr)
      : limit_(limit), others_(others), reachable_(std::move(reachable)) {}

  int64_t limit() const { return limit_; }
  int64_t others() const { return others_; }
  // The most that all loaded models take.
  int64_t taken() const;
  int64_t left() const;
  // The part of taken() that is taken only as it is used.
  int64_t caches() const;
  int64_t working() const;

  // Takes what a model's weights need. RESOURCE_EXHAUSTED with the figures if it does not fit.
  absl::StatusOr<std::unique_ptr<Claim>> Take(int64_t weights);

  // From now on `retry` is called, on any thread, when models that served are gone and one that was refused before may
  // fit. Null for nobody; then it returns only when no call is running.
  void OnRoom(std::function<void()> retry);

 private:
  // Sums of all claims.
  struct Sums {
    int64_t weights = 0;
    int64_t caches = 0;
    int64_t working = 0;

    int64_t all() const;
  };

  Sums SumsWithout(const Claim* claim) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the process can have now.
  int64_t Reachable() const;
  // What of that is left beside those sums.
  int64_t Left(const Sums& sums, int64_t reachable) const;
  std::string Figures(const Sums& sums, int64_t reachable) const;
  void NoteRefused(int64_t needed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveBack(const Claim& claim) noexcept;

  const int64_t limit_;
  const int64_t others_;
  const std::function<int64_t()> reachable_;

  mutable Mutex mutex_;
  std::vector<const Claim*> claims_ ABSL_GUARDED_BY(mutex_);
  // The least that a model needed that was refused since the last retry; nullopt if none was.
  std::optional<int64_t> refused_ ABSL_GUARDED_BY(mutex_);

  // Held while it is called.
  Mutex retry_mutex_;
  std::function<void()> retry_ ABSL_GUARDED_BY(retry_mutex_);
};

// About how much memory the model in the file takes: as much as the file. 0 if the file's size cannot be read.
int64_t WeightBytes(const std::filesystem::path& file);

// Formats a number of bytes: "1.5 GiB", "23 MiB", "180 KiB".
std::string BytesName(int64_t bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MEMORY_PLAN_H_
