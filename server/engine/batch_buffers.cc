#include "server/engine/batch_buffers.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "server/async/mutex.h"

namespace predictd {
namespace {

// A block serves tensors down to this fraction of its size, so that a small batch does not hold the memory of a large
// one.
constexpr size_t kMaxWaste = 4;
// Smaller sizes are not worth telling apart.
constexpr size_t kSmallestBlock = 4096;

// Rounds up by at most an eighth, so that batches of about the same size reuse each other's blocks.
size_t BlockSize(size_t bytes) {
  if (bytes <= kSmallestBlock) return kSmallestBlock;
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

struct AlignedDelete {
  void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{Tensor::kAlignment}); }
};

struct Block {
  std::unique_ptr<std::byte, AlignedDelete> memory;
  size_t size = 0;
  // The sequence number of the allocation that took it last.
  uint64_t taken = 0;
};

Block NewBlock(size_t size) {
  auto* memory = static_cast<std::byte*>(::operator new(size, std::align_val_t{Tensor::kAlignment}));
  return {std::unique_ptr<std::byte, AlignedDelete>(memory), size};
}

}  // namespace

// The free blocks. Shared by the buffers and by every tensor that will return a block.
class BatchBuffers::Pool {
 public:
  explicit Pool(size_t max_free_bytes) : max_free_bytes_(max_free_bytes) {}

  Block Take(size_t bytes) {
    const size_t size = BlockSize(bytes);
    std::vector<Block> given_up;
    uint64_t now = 0;
    {
      MutexLock lock(mutex_);
      now = ++allocations_;
      if (now % kPatience == 0) given_up = GiveUp(now);
      if (std::optional<Block> block = TakeFree(size)) {
        block->taken = now;
        return *std::move(block);
      }
    }
    Block block = NewBlock(size);
    block.taken = now;
    return block;
  }

  // A block for which there is no room is freed when this returns, after the lock is released.
  void Return(Block block) noexcept {
    MutexLock lock(mutex_);
    if (closed_ || free_bytes_ + block.size > max_free_bytes_) return;
    const size_t size = block.size;
    try {
      free_.push_back(std::move(block));
    } catch (const std::bad_alloc&) {
      return;
    }
    free_bytes_ += size;
  }

  // From now on no block is kept.
  void Close() {
    std::vector<Block> given_up;
    MutexLock lock(mutex_);
    closed_ = true;
    free_bytes_ = 0;
    given_up.swap(free_);
  }

  size_t free_bytes() const {
    MutexLock lock(mutex_);
    return free_bytes_;
  }

 private:
  // The smallest free block that is large enough and not too large; of several equal ones the one used last, as it is
  // still in the caches.
  std::optional<Block> TakeFree(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto best = free_.end();
    for (auto block = free_.begin(); block != free_.end(); ++block) {
      if (block->size < size || block->size > size * kMaxWaste) continue;
      if (best == free_.end() || block->size <= best->size) best = block;
    }
    if (best == free_.end()) return std::nullopt;
    Block taken = std::move(*best);
    free_.erase(best);
    free_bytes_ -= taken.size;
    return taken;
  }

  // Takes out the blocks that were not used for a while.
  std::vector<Block> GiveUp(uint64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto stale = std::stable_partition(free_.begin(), free_.end(),
                                             [now](const Block& block) { return block.taken + kPatience > now; });
    std::vector<Block> given_up(std::make_move_iterator(stale), std::make_move_iterator(free_.end()));
    free_.erase(stale, free_.end());
    for (const Block& block : given_up) free_bytes_ -= block.size;
    return given_up;
  }

  const size_t max_free_bytes_;

  mutable Mutex mutex_;
  uint64_t allocations_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t free_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  // The blocks that were returned last are at the end.
  std::vector<Block> free_ ABSL_GUARDED_BY(mutex_);
};

BatchBuffers::BatchBuffers(size_t max_free_bytes) : pool_(std::make_shared<Pool>(max_free_bytes)) {}

BatchBuffers::~BatchBuffers() {
  pool_->Close();
}

Tensor BatchBuffers::Allocate(DType dtype, Shape shape, std::byte** fill) {
  // Returns the block when the last tensor that views it is destroyed.
  struct Lease {
    Lease(std::shared_ptr<Pool> pool, Block block) : pool(std::move(pool)), block(std::move(block)) {}
    ~Lease() { pool->Return(std::move(block)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    const std::shared_ptr<Pool> pool;
    Block block;
  };
  const size_t bytes = static_cast<size_t>(ElementCount(shape).value_or(0)) * ByteWidth(dtype);
  auto lease = std::make_shared<const Lease>(pool_, pool_->Take(bytes));
  *fill = lease->block.memory.get();
  return Tensor(dtype, std::move(shape), *fill, std::move(lease));
}

size_t BatchBuffers::free_bytes() const {
  return pool_->free_bytes();
}

}  // namespace predictd
