#ifndef PREDICTD_SERVER_ENGINE_BATCH_BUFFERS_H_
#define PREDICTD_SERVER_ENGINE_BATCH_BUFFERS_H_

#include <cstddef>
#include <memory>

#include "server/model/tensor.h"

namespace predictd {

// The memory in which a model's batches are put together, reused from batch to batch: large blocks fresh from the
// system cost a page fault for every 4 KiB.
//
// A block is taken while any tensor views it, be it the batch or an output that shares an input's memory, and free
// again after that. So there are about as many blocks as batches run at once. Free blocks that nobody wanted for a
// while, and those beyond a bound, go back to the system. Owned by the runner; its tensors may outlive it. Thread-safe.
class BatchBuffers {
 public:
  // At most so many bytes are kept while they are free.
  static constexpr size_t kMaxFreeBytes = size_t{64} << 20;
  // A free block that was not taken for so many allocations is given up.
  static constexpr size_t kPatience = 256;

  explicit BatchBuffers(size_t max_free_bytes = kMaxFreeBytes);
  ~BatchBuffers();
  BatchBuffers(const BatchBuffers&) = delete;
  BatchBuffers& operator=(const BatchBuffers&) = delete;

  // As Tensor::Allocate; the memory holds what was in it before.
  Tensor Allocate(DType dtype, Shape shape, std::byte** fill);

  // What waits to be taken again.
  size_t free_bytes() const;

 private:
  class Pool;
  const std::shared_ptr<Pool> pool_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_BUFFERS_H_
