#include "server/model/cache_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace predictd {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// Fresh memory that begins at a huge page.
class Mapping {
 public:
  explicit Mapping(size_t bytes) : bytes_(bytes + kHugePage) {
    start_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    // Without huge pages only what is written takes memory.
    madvise(start_, bytes_, MADV_NOHUGEPAGE);
  }
  ~Mapping() { munmap(start_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const {
    return static_cast<std::byte*>(start_) + (kHugePage - reinterpret_cast<uintptr_t>(start_) % kHugePage) % kHugePage;
  }

 private:
  void* start_;
  const size_t bytes_;
};

size_t ResidentPages(const void* data, size_t bytes) {
  std::vector<unsigned char> resident(bytes / kPage);
  EXPECT_EQ(mincore(const_cast<void*>(data), bytes, resident.data()), 0);
  size_t count = 0;
  for (const unsigned char page : resident) count += page & 1;
  return count;
}

TEST(IsZerosTest, LooksAtEveryByteThatWasWritten) {
  const size_t bytes = 9 * kHugePage + 123;
  const Mapping memory(bytes);
  EXPECT_TRUE(IsZeros(memory.data(), bytes));
  for (const size_t at : {size_t{0}, size_t{1}, kPage, 5 * kHugePage + 77, bytes - 1}) {
    memory.data()[at] = std::byte{1};
    EXPECT_FALSE(IsZeros(memory.data(), bytes)) << at;
    memory.data()[at] = std::byte{0};
    EXPECT_TRUE(IsZeros(memory.data(), bytes)) << at;
  }
}

TEST(IsZerosTest, LooksAtNothingBesideIt) {
  const Mapping memory(kHugePage);
  memory.data()[9] = std::byte{1};
  memory.data()[100] = std::byte{1};
  EXPECT_TRUE(IsZeros(memory.data() + 10, 90));
  EXPECT_FALSE(IsZeros(memory.data() + 10, 91));
  EXPECT_TRUE(IsZeros(memory.data(), 0));
}

TEST(IsZerosTest, TakesNoMemory) {
  const Mapping memory(8 * kHugePage);
  EXPECT_TRUE(IsZeros(memory.data(), 8 * kHugePage));
  EXPECT_EQ(ResidentPages(memory.data(), 8 * kHugePage), 0U);
}

TEST(ReleasePagesTest, WhatWasWrittenIsZerosAndGone) {
  const Mapping memory(4 * kHugePage);
  std::fill_n(memory.data(), 4 * kHugePage, std::byte{7});
  ReleasePages(memory.data() + kHugePage, 2 * kHugePage);
  EXPECT_EQ(ResidentPages(memory.data() + kHugePage, 2 * kHugePage), 0U);
  EXPECT_TRUE(IsZeros(memory.data() + kHugePage, 2 * kHugePage));
  EXPECT_EQ(memory.data()[kHugePage - 1], std::byte{7});
  EXPECT_EQ(memory.data()[3 * kHugePage], std::byte{7});
}

TEST(ReleasePagesTest, HugePagesThatOthersShareStay) {
  const Mapping memory(4 * kHugePage);
  std::fill_n(memory.data(), 4 * kHugePage, std::byte{7});
  ReleasePages(memory.data() + 1, 2 * kHugePage);
  EXPECT_EQ(memory.data()[kHugePage - 1], std::byte{7});
  EXPECT_EQ(memory.data()[kHugePage], std::byte{0});
  EXPECT_EQ(memory.data()[2 * kHugePage], std::byte{7});
  ReleasePages(memory.data() + 2 * kHugePage + 1, kHugePage);
  EXPECT_EQ(ResidentPages(memory.data() + 2 * kHugePage, 2 * kHugePage), 2 * kHugePage / kPage);
}

TEST(ReleasePagesTest, SmallPagesGoOneByOne) {
  const Mapping memory(kHugePage);
  std::fill_n(memory.data(), kHugePage, std::byte{7});
  ReleasePages(memory.data() + 1, 3 * kPage, kPage);
  EXPECT_EQ(ResidentPages(memory.data(), kHugePage), kHugePage / kPage - 2);
  EXPECT_EQ(memory.data()[kPage - 1], std::byte{7});
  EXPECT_EQ(memory.data()[kPage], std::byte{0});
  EXPECT_EQ(memory.data()[3 * kPage], std::byte{7});
}

}  // namespace
}  // namespace predictd
