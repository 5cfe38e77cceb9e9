#include "server/engine/response_cache.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <string>
#include <utility>

namespace predictd {
namespace {

// The index has room for up to this many entries from the start, if they fit into the cache: growing it would move all
// of them under the lock.
constexpr size_t kMaxReserved = size_t{1} << 20;

// How many entries may be evicted before the lock is released: each takes about a microsecond, during which lookups
// wait.
constexpr size_t kMaxEvictedAtOnce = 32;

// Used when no observer was given.
ResponseCacheObserver no_observer;

// What glibc takes from the heap for an allocation.
constexpr size_t HeapBytes(size_t size) {
  return std::max<size_t>(32, (size + sizeof(size_t) + 15) / 16 * 16);
}

// The counts in front of an object that a shared pointer owns.
constexpr size_t kSharedCounts = 16;
// The counts, with a deleter and a pointer beside them.
constexpr size_t kSharedOwner = kSharedCounts + 2 * sizeof(void*);
// Strings up to this length lie within their object.
constexpr size_t kMaxInlineString = 15;
// The extents of shapes up to this rank do, too.
constexpr size_t kMaxInlineRank = 4;

size_t StringsBytes(absl::Span<const std::string> strings) {
  size_t bytes = HeapBytes(kSharedCounts + sizeof(std::vector<std::string>));
  bytes += HeapBytes(strings.size() * sizeof(std::string));
  for (const std::string& string : strings) {
    if (string.size() > kMaxInlineString) bytes += HeapBytes(string.size() + 1);
  }
  return bytes;
}

size_t TensorBytes(const Tensor& tensor) {
  const size_t rank = tensor.shape().size();
  const size_t shape = rank > kMaxInlineRank ? HeapBytes(rank * sizeof(int64_t)) : 0;
  if (tensor.dtype() == DType::kBytes) return shape + StringsBytes(tensor.strings());
  return shape + HeapBytes(tensor.byte_size() + Tensor::kAlignment) + HeapBytes(kSharedOwner);
}

size_t PayloadBytes(absl::Span<const Tensor> tensors) {
  size_t bytes = 0;
  for (const Tensor& tensor : tensors) {
    bytes += tensor.byte_size();
    for (const std::string& string : tensor.strings()) bytes += sizeof(std::string) + string.size();
  }
  return bytes;
}

Tensor Copy(const Tensor& tensor) {
  if (!tensor.present()) return tensor;
  if (tensor.dtype() == DType::kBytes) {
    const absl::Span<const std::string> strings = tensor.strings();
    return Tensor(tensor.shape(), std::make_shared<const std::vector<std::string>>(strings.begin(), strings.end()));
  }
  std::byte* fill = nullptr;
  Tensor copy = Tensor::Allocate(tensor.dtype(), tensor.shape(), &fill);
  if (tensor.byte_size() > 0) std::memcpy(fill, tensor.data(), tensor.byte_size());
  return copy;
}

}  // namespace

ResponseCache::ResponseCache(Options options, const Clock& clock)
    : options_(options), observer_(options.observer != nullptr ? *options.observer : no_observer), clock_(clock) {
  // OpenSSL reads its configuration when it is first used, which must not happen on an event loop.
  MakeRequestKey(0, {});
  index_.reserve(std::min(options_.capacity_bytes / BytesOf({}), kMaxReserved));
}

ResponseCache::~ResponseCache() {
  MutexLock lock(mutex_);
  observer_.OnSizeChange(-static_cast<int64_t>(entries_.size()), -static_cast<int64_t>(bytes_));
}

std::optional<CachedResponse> ResponseCache::Lookup(const RequestKey& key) {
  std::shared_ptr<const std::vector<Tensor>> outputs;
  TimePoint stored;
  {
    MutexLock lock(mutex_);
    if (const auto found = index_.find(key); found != index_.end()) {
      const Entries::iterator entry = found->second;
      entries_.splice(entries_.begin(), entries_, entry);
      outputs = entry->outputs;
      stored = entry->stored;
    }
  }
  (outputs != nullptr ? hits_ : misses_).fetch_add(1, std::memory_order_relaxed);
  observer_.OnLookup(outputs != nullptr);
  if (outputs == nullptr) return std::nullopt;
  return CachedResponse{*outputs, clock_.Now() - stored};
}

void ResponseCache::Store(const RequestKey& key, absl::Span<const Tensor> outputs) noexcept {
  try {
    Add(key, outputs);
  } catch (const std::bad_alloc&) {
    // The next caller that asks for it computes it again.
  }
}

void ResponseCache::Add(const RequestKey& key, absl::Span<const Tensor> outputs) {
  const size_t bytes = BytesOf(outputs);
  if (PayloadBytes(outputs) > kMaxOutputBytes || bytes > options_.capacity_bytes / kMaxEntryPart) return;
  auto copies = std::make_shared<std::vector<Tensor>>();
  copies->reserve(outputs.size());
  for (const Tensor& output : outputs) copies->push_back(Copy(output));
  Entries added;
  added.push_back({key, std::move(copies), clock_.Now(), bytes});
  while (!added.empty()) {
    // Declared before the lock, so that the entries are freed after the lock is released.
    Entries evicted;
    MutexLock lock(mutex_);
    if (index_.contains(key)) return;
    MakeRoom(bytes, evicted);
    if (bytes_ + bytes > options_.capacity_bytes) continue;
    index_.emplace(key, added.begin());
    entries_.splice(entries_.begin(), added);
    bytes_ += bytes;
    observer_.OnSizeChange(1, static_cast<int64_t>(bytes));
  }
}

size_t ResponseCache::BytesOf(absl::Span<const Tensor> outputs) {
  // A list's node has two links; an index's node has one link and the hash, and also a bucket.
  size_t bytes = HeapBytes(2 * sizeof(void*) + sizeof(Entry));
  bytes += HeapBytes(sizeof(void*) + sizeof(Index::value_type) + sizeof(size_t)) + sizeof(void*);
  bytes += HeapBytes(kSharedCounts + sizeof(std::vector<Tensor>)) + HeapBytes(outputs.size() * sizeof(Tensor));
  for (const Tensor& output : outputs) bytes += TensorBytes(output);
  return bytes;
}

void ResponseCache::MakeRoom(size_t bytes, Entries& evicted) {
  const size_t before = bytes_;
  while (bytes_ + bytes > options_.capacity_bytes && evicted.size() < kMaxEvictedAtOnce) {
    const Entries::iterator last = std::prev(entries_.end());
    index_.erase(last->key);
    bytes_ -= last->bytes;
    evicted.splice(evicted.begin(), entries_, last);
  }
  if (evicted.empty()) return;
  const auto count = static_cast<int64_t>(evicted.size());
  observer_.OnSizeChange(-count, -static_cast<int64_t>(before - bytes_));
  observer_.OnEvicted(count);
}

}  // namespace predictd
