#include "server/kernels/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace predictd {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

std::shared_ptr<void> HugePages(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kHugePage) throw std::bad_alloc();
  const size_t needed = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  // One page more, so that the memory contains an aligned beginning.
  const size_t mapped = needed + kHugePage;
  void* start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  const size_t skipped = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
  void* aligned = static_cast<std::byte*>(start) + skipped;
#if defined(MADV_HUGEPAGE)
  // This is only advice: without huge pages it is slower.
  static_cast<void>(madvise(aligned, needed, MADV_HUGEPAGE));
#endif
  return {aligned, [start, mapped](void*) { munmap(start, mapped); }};
}

}  // namespace predictd
