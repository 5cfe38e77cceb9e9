#include "server/model/cache_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace predictd {
namespace {

// The number of pages that one call of mincore asks about.
constexpr size_t kPagesAtOnce = 4096;

// The distance from the last multiple below `address`.
size_t Beyond(const std::byte* address, size_t multiple) {
  return reinterpret_cast<uintptr_t>(address) % multiple;
}

bool AreZeros(const std::byte* begin, const std::byte* end) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (begin < end) {
    const size_t bytes = std::min(kZeros.size(), static_cast<size_t>(end - begin));
    if (std::memcmp(begin, kZeros.data(), bytes) != 0) return false;
    begin += bytes;
  }
  return true;
}

}  // namespace

bool IsZeros(const void* data, size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto* const begin = static_cast<const std::byte*>(data);
  const auto* const end = begin + bytes;
  std::array<unsigned char, kPagesAtOnce> resident{};
  for (const std::byte* at = begin - Beyond(begin, page); at < end; at += kPagesAtOnce * page) {
    const size_t pages = std::min(kPagesAtOnce, (static_cast<size_t>(end - at) + page - 1) / page);
    if (mincore(const_cast<std::byte*>(at), pages * page, resident.data()) != 0) resident.fill(1);
    for (size_t i = 0; i < pages; ++i) {
      if ((resident[i] & 1) == 0) continue;
      if (!AreZeros(std::max(begin, at + i * page), std::min(end, at + (i + 1) * page))) return false;
    }
  }
  return true;
}

void ReleasePages(void* data, size_t bytes, size_t page_bytes) {
  auto* const begin = static_cast<std::byte*>(data);
  std::byte* const end = begin + bytes;
  std::byte* const first = begin + (page_bytes - Beyond(begin, page_bytes)) % page_bytes;
  std::byte* const last = end - Beyond(end, page_bytes);
  if (first < last) static_cast<void>(madvise(first, static_cast<size_t>(last - first), MADV_DONTNEED));
}

}  // namespace predictd
