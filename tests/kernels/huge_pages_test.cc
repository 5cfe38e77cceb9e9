#include "server/kernels/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

namespace predictd {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

TEST(HugePagesTest, AreZerosThatCanBeWritten) {
  for (const size_t bytes : {size_t{1}, size_t{4096}, kHugePage - 1, kHugePage, kHugePage + 1, 3 * kHugePage + 5}) {
    const std::shared_ptr<void> memory = HugePages(bytes);
    auto* begin = static_cast<uint8_t*>(memory.get());
    size_t others = 0;
    for (size_t i = 0; i < bytes; ++i) others += begin[i] == 0 ? 0 : 1;
    EXPECT_EQ(others, 0) << bytes;
    for (size_t i = 0; i < bytes; i += 4096) begin[i] = 1;
    begin[bytes - 1] = 1;
  }
}

TEST(HugePagesTest, BeginAtAPage) {
  for (const size_t bytes : {size_t{0}, size_t{1}, kHugePage + 1, 5 * kHugePage}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(HugePages(bytes).get()) % kHugePage, 0);
  }
}

TEST(HugePagesTest, AreGivenBack) {
  std::shared_ptr<void> memory = HugePages(kHugePage);
  void* begin = memory.get();
  unsigned char resident;
  ASSERT_EQ(mincore(begin, 4096, &resident), 0);
  memory.reset();
  EXPECT_EQ(mincore(begin, 4096, &resident), -1);
  EXPECT_EQ(errno, ENOMEM);
  // More in all than there are addresses.
  for (int i = 0; i < 1000; ++i) EXPECT_NE(HugePages(size_t{1} << 40), nullptr);
}

TEST(HugePagesTest, AbsurdSizesAreAnError) {
  constexpr size_t kMost = std::numeric_limits<size_t>::max();
  for (const size_t bytes : {kMost, kMost - kHugePage, kMost - 2 * kHugePage, kMost / 2, size_t{1} << 60}) {
    EXPECT_THROW(HugePages(bytes), std::bad_alloc) << bytes;
  }
}

}  // namespace
}  // namespace predictd
