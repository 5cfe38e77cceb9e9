#include "server/services/copy_memory.h"

#include <sys/mman.h>

#include <new>

#include "server/model/tensor.h"

namespace predictd {

std::shared_ptr<std::byte> AllocateCopy(size_t bytes) {
  constexpr size_t kLarge = size_t{4} << 20;
  if (bytes < kLarge) {
    auto* const small = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{Tensor::kAlignment}));
    return {small, [](std::byte* memory) { ::operator delete(memory, std::align_val_t{Tensor::kAlignment}); }};
  }
  void* const pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  madvise(pages, bytes, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(pages), [bytes](std::byte* memory) { munmap(memory, bytes); }};
}

}  // namespace predictd
