#ifndef PREDICTD_SERVER_ENGINE_RESPONSE_CACHE_H_
#define PREDICTD_SERVER_ENGINE_RESPONSE_CACHE_H_

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

// Told what a cache does, on any thread; must be quick.
class ResponseCacheObserver {
 public:
  virtual ~ResponseCacheObserver() = default;
  virtual void OnLookup(bool hit) = 0;
  // The changes add up to what the cache holds, and to 0 when it is gone.
  virtual void OnSizeChange(int64_t entries, int64_t bytes) = 0;
  virtual void OnEvicted(int64_t entries) = 0;
};

// An answer that was given before.
struct CachedResponse {
  // All outputs, in the signature's order.
  std::vector<Tensor> outputs;
  // How long ago it was computed.
  Duration age{};
};

// The answers of one model version to the requests that it got last, for models that answer the same request always in
// the same way. Bounded by bytes; what was not asked for the longest time goes first. Entries do not expire: a version
// never changes. Belongs to the ServedVersion and goes with it. Thread-safe; nothing waits but for a short lock.
class ResponseCache {
 public:
  // Outputs with more bytes are not kept: an event loop encodes what it finds here, and must not stop for longer.
  static constexpr size_t kMaxOutputBytes = size_t{256} << 10;
  // Nor is an entry that takes more than this part of the cache: it would drive out too many others.
  static constexpr size_t kMaxEntryPart = 8;

  struct Options {
    // Of all entries together, with what they cost to keep.
    size_t capacity_bytes = 0;
    // May be null; outlives the cache.
    ResponseCacheObserver* observer = nullptr;
  };

  // `clock` outlives the cache.
  ResponseCache(Options options, const Clock& clock);
  ~ResponseCache();
  ResponseCache(const ResponseCache&) = delete;
  ResponseCache& operator=(const ResponseCache&) = delete;

  // The answer if there is one; it is then the last to go.
  std::optional<CachedResponse> Lookup(const RequestKey& key);

  // Keeps a copy of the outputs, unless they are too large or there is an answer already (two callers may have missed
  // at the same time), or there is no memory. The copy shares no memory with the batch that they may be a part of.
  void Store(const RequestKey& key, absl::Span<const Tensor> outputs) noexcept;

 private:
  struct Entry {
    RequestKey key;
    std::shared_ptr<const std::vector<Tensor>> outputs;
    TimePoint stored;
    size_t bytes = 0;
  };
  using Entries = std::list<Entry>;
  // absl::Hash differs from process to process, so that no caller can prepare keys for one bucket.
  using Index = std::unordered_map<RequestKey, Entries::iterator, absl::Hash<RequestKey>>;

  void Add(const RequestKey& key, absl::Span<const Tensor> outputs);
  // What an entry with copies of these outputs takes from the heap.
  static size_t BytesOf(absl::Span<const Tensor> outputs);
  // Moves entries to `evicted`, the last first, until there is room for `bytes` more or these are enough for one lock.
  void MakeRoom(size_t bytes, Entries& evicted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  ResponseCacheObserver& observer_;
  const Clock& clock_;

  Mutex mutex_;
  // What was asked for last is in front.
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  Index index_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_RESPONSE_CACHE_H_
