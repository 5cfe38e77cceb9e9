#ifndef PREDICTD_SERVER_ENGINE_BATCH_BUFFERS_H_
#define PREDICTD_SERVER_ENGINE_BATCH_BUFFERS_H_

#include <cstddef>
#include <memory>

#include "server/model/tensor.h"

namespace predictd {

// The memory in which a model's batches are assembled. It is reused from batch to batch, because large blocks fresh
// from the system cost a page fault for every 4 KiB.
//
// A block is taken while any tensor views it, be it the batch or an output that shares an input's memory, and is free
// again after that. So there are about as many blocks as batches run at once. Free blocks that were not used for a
// while, and those beyond a bound, go back to the system. Owned by the runner; its tensors may outlive it. Thread-safe.
class BatchBuffers {
 public:
  // The most bytes of free blocks that are kept.
  static constexpr size_t kMaxFreeBytes = size_t{64} << 20;
  // A free block goes back to the system if it was not taken during this many allocations.
  static constexpr size_t kPatience = 256;

  explicit BatchBuffers(size_t max_free_bytes = kMaxFreeBytes);
  ~BatchBuffers();
  BatchBuffers(const BatchBuffers&) = delete;
  BatchBuffers& operator=(const BatchBuffers&) = delete;

  // Like Tensor::Allocate, but the memory is not cleared: it holds whatever was in it before.
  Tensor Allocate(DType dtype, Shape shape, std::byte** fill);

  // The size of all free blocks.
  size_t free_bytes() const;

 private:
  class Pool;
  const std::shared_ptr<Pool> pool_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_BUFFERS_H_
