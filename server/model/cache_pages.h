#ifndef PREDICTD_SERVER_MODEL_CACHE_PAGES_H_
#define PREDICTD_SERVER_MODEL_CACHE_PAGES_H_

#include <cstddef>

namespace predictd {

// Functions for memory that holds zeros without taking any from the system: a page is taken only when it is written.
// They are for private memory that belongs to no file, such as an allocator's.

// Whether the memory holds only zeros. Pages that were never written are not read, because reading would take them.
bool IsZeros(const void* data, size_t bytes);

// Splitting a huge page makes the rest of it slower for its users.
inline constexpr size_t kHugePageBytes = size_t{2} << 20;

// Fills the memory with zeros that take no memory, except where it shares a page of `page_bytes` with its neighbours.
// `page_bytes` is a power of two, at least the system's page size. Never fails; if the system refuses, everything stays
// as it was.
void ReleasePages(void* data, size_t bytes, size_t page_bytes = kHugePageBytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_CACHE_PAGES_H_
