#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "server/kernels/decoder_layer.h"
#include "tests/kernels/cache_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class CopyPositionsTest : public testing::TestWithParam<CacheElement> {};

INSTANTIATE_TEST_SUITE_P(AllElements, CopyPositionsTest, testing::ValuesIn(kAllElements),
                         [](const auto& info) { return info.param == CacheElement::kF16 ? "f16" : "f32"; });

TEST_P(CopyPositionsTest, AnyPositionsAreCopiedAndNothingElse) {
  constexpr int64_t kPositions = 48;
  constexpr int64_t kWidth = 32;
  std::mt19937 random(1);
  const Kernels& kernels = KernelsFor(KernelSet::kPortable);
  TestCache from(GetParam(), kPositions, kWidth);
  TestCache before(GetParam(), kPositions, kWidth);
  for (int64_t position = 0; position < kPositions; ++position) {
    kernels.store(RandomFloats(kWidth, random).data(), RandomFloats(kWidth, random).data(), position, from.get());
    kernels.store(RandomFloats(kWidth, random).data(), RandomFloats(kWidth, random).data(), position, before.get());
  }
  const TestCache original = from;
  for (int64_t begin = 0; begin <= kPositions; ++begin) {
    for (int64_t end = begin; end <= kPositions; ++end) {
      TestCache to = before;
      CopyPositions(from.get(), to.get(), begin, end);
      for (int64_t position = 0; position < kPositions; ++position) {
        const bool copied = position >= begin && position < end;
        const TestCache& expected = copied ? original : before;
        // Both ends of a position are enough: more takes long.
        for (const int64_t i : {int64_t{0}, kWidth / 2, kWidth - 1}) {
          ASSERT_EQ(to.Key(position, i), expected.Key(position, i)) << begin << " to " << end << " at " << position;
          ASSERT_EQ(to.Value(position, i), expected.Value(position, i)) << begin << " to " << end << " at " << position;
        }
      }
    }
  }
  EXPECT_EQ(from.Keys(kPositions), original.Keys(kPositions));
  EXPECT_EQ(from.Values(kPositions), original.Values(kPositions));
}

}  // namespace
}  // namespace predictd
