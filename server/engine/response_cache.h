#ifndef PREDICTD_SERVER_ENGINE_RESPONSE_CACHE_H_
#define PREDICTD_SERVER_ENGINE_RESPONSE_CACHE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/engine/request_key.h"
#include "server/model/tensor.h"

namespace predictd {

// Is told what a cache does, on any thread, and must be quick. By default it does nothing.
class ResponseCacheObserver {
 public:
  virtual ~ResponseCacheObserver() = default;
  virtual void OnLookup(bool /*hit*/) {}
  // The changes add up to what the cache holds, and to 0 when the cache is destroyed.
  virtual void OnSizeChange(int64_t /*entries*/, int64_t /*bytes*/) {}
  virtual void OnEvicted(int64_t /*entries*/) {}
};

struct CachedResponse {
  // All outputs, in the signature's order.
  std::vector<Tensor> outputs;
  // The time since it was computed.
  Duration age{};
};

// The most recently used answers of one model version, for models that always answer the same request in the same way.
// Bounded by bytes; the least recently used answer is evicted first. Entries do not expire, because a version never
// changes. Belongs to the ServedVersion and ends with it. Thread-safe; callers block only for a short lock.
class ResponseCache {
 public:
  // Larger outputs are not kept: an event loop encodes what it finds here and must not block for longer.
  static constexpr size_t kMaxOutputBytes = size_t{256} << 10;
  // An entry that takes more than this fraction of the cache is not kept either, because it would evict too many
  // others.
  static constexpr size_t kMaxEntryPart = 8;

  struct Options {
    // The bound on all entries together, with their overhead.
    size_t capacity_bytes = 0;
    // May be null; outlives the cache.
    ResponseCacheObserver* observer = nullptr;
  };

  // `clock` outlives the cache.
  ResponseCache(Options options, const Clock& clock);
  ~ResponseCache();
  ResponseCache(const ResponseCache&) = delete;
  ResponseCache& operator=(const ResponseCache&) = delete;

  // How many lookups found an answer, and how many found none.
  int64_t hits() const { return hits_.load(std::memory_order_relaxed); }
  int64_t misses() const { return misses_.load(std::memory_order_relaxed); }

  // The answer, if there is one, which becomes the most recently used.
  std::optional<CachedResponse> Lookup(const RequestKey& key);

  // Keeps a copy of the outputs, unless they are too large, there is an answer already (two callers may have missed at
  // the same time), or there is no memory. The copy shares no memory with the batch that the outputs may be a part of.
  void Store(const RequestKey& key, absl::Span<const Tensor> outputs) noexcept;

 private:
  struct Entry {
    RequestKey key;
    std::shared_ptr<const std::vector<Tensor>> outputs;
    TimePoint stored;
    size_t bytes = 0;
  };
  using Entries = std::list<Entry>;
  // absl::Hash differs from process to process, so that no caller can prepare keys that fall into one bucket.
  using Index = std::unordered_map<RequestKey, Entries::iterator, absl::Hash<RequestKey>>;

  void Add(const RequestKey& key, absl::Span<const Tensor> outputs);
  // The heap memory that an entry with copies of these outputs takes.
  static size_t BytesOf(absl::Span<const Tensor> outputs);
  // Moves entries to `evicted`, the least recently used first, until there is room for `bytes` more or these are enough
  // for one lock.
  void MakeRoom(size_t bytes, Entries& evicted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  ResponseCacheObserver& observer_;
  const Clock& clock_;

  std::atomic<int64_t> hits_{0};
  std::atomic<int64_t> misses_{0};

  Mutex mutex_;
  // The most recently used entry is in front.
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  Index index_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_RESPONSE_CACHE_H_
