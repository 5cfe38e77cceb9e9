// Keys and values in the cache, and attention to them.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/cache_fixture.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class StoreTest : public KernelSetTest {};

class AttendTest : public KernelSetTest {
 protected:
  // Random keys and values of `count` positions; keys so many times as large.
  TestCache Fill(CacheElement element, int64_t count, int64_t width, std::mt19937& random, float times = 1) const {
    TestCache cache(element, count, width);
    for (int64_t position = 0; position < count; ++position) {
      std::vector<float> key = RandomFloats(width, random);
      for (float& x : key) x *= times;
      kernels().store(key.data(), RandomFloats(width, random).data(), position, cache.get());
    }
    return cache;
  }

  // Memory is exactly as long as it must be, for sanitizers to see.
  std::vector<float> Run(const std::vector<float>& queries, TestCache& cache, int64_t count) const {
    std::vector<float> scratch(static_cast<size_t>(AttentionScratch(count)), NAN);
    std::vector<float> out(queries.size(), NAN);
    const int64_t width = cache.get().width;
    kernels().attend(queries.data(), static_cast<int64_t>(queries.size()) / width, cache.get(), count, nullptr,
                     scratch.data(), out.data());
    return out;
  }

  void ExpectAttention(const std::vector<float>& queries, TestCache& cache, int64_t count) const {
    const int64_t width = cache.get().width;
    const std::vector<float> out = Run(queries, cache, count);
    const std::vector<double> keys = cache.Keys(count);
    const std::vector<double> values = cache.Values(count);
    for (int64_t head = 0; head < static_cast<int64_t>(queries.size()) / width; ++head) {
      const std::vector<Expected> expected = Attend(queries.data() + head * width, keys, values, count, width);
      for (int64_t i = 0; i < width; ++i) {
        ASSERT_NEAR(out[head * width + i], expected[i].value, expected[i].tolerance)
            << "head " << head << " element " << i << " of " << width << " with " << count << " positions";
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(AllSets, StoreTest, EachKernelSet(), ParameterName);
INSTANTIATE_TEST_SUITE_P(AllSets, AttendTest, EachKernelSet(), ParameterName);

TEST_P(StoreTest, APositionIsWrittenAndNothingElse) {
  std::mt19937 random(1);
  constexpr int64_t kPositions = 48;
  for (const CacheElement element : kAllElements) {
    for (const int64_t width : {32, 64, 96, 128}) {
      for (const int64_t position : {0, 1, 15, 16, 31, 47}) {
        TestCache cache(element, kPositions, width);
        const std::vector<float> key = RandomFloats(width, random);
        const std::vector<float> value = RandomFloats(width, random);
        kernels().store(key.data(), value.data(), position, cache.get());
        for (int64_t at = 0; at < kPositions; ++at) {
          for (int64_t i = 0; i < width; ++i) {
            ASSERT_EQ(cache.Key(at, i), at == position ? cache.Stored(key[i]) : cache.Untouched());
            ASSERT_EQ(cache.Value(at, i), at == position ? cache.Stored(value[i]) : cache.Untouched());
          }
        }
      }
    }
  }
}

TEST_P(StoreTest, AnyNumberIsRoundedAsTheCompilerDoes) {
  std::mt19937 random(2);
  std::vector<float> numbers = {0.0F,     -0.0F,     1e-8F,    -1e-8F,    6e-8F,    5.96e-8F, 3e-5F,  6.1e-5F,
                                65504.0F, 65519.9F,  65520.0F, -65520.0F, 1e30F,    -1e30F,   1.0F,   1.00048828125F,
                                INFINITY, -INFINITY, 2049.0F,  2051.0F,   -4098.0F, 0.1F,     1e-40F, 3.0F};
  while (numbers.size() < 128) numbers.push_back(std::exp2(static_cast<float>(random() % 60) - 30) * 1.2345F);
  TestCache cache(CacheElement::kF16, 16, 128);
  kernels().store(numbers.data(), numbers.data(), 3, cache.get());
  for (int64_t i = 0; i < 128; ++i) {
    EXPECT_EQ(cache.Key(3, i), HalfBits(numbers[i])) << numbers[i];
    EXPECT_EQ(cache.Value(3, i), HalfBits(numbers[i])) << numbers[i];
  }
}

TEST_P(AttendTest, AnyNumberOfPositionsIsAsInDoublePrecision) {
  std::mt19937 random(3);
  for (const CacheElement element : kAllElements) {
    for (const int64_t width : {32, 64, 96, 128}) {
      for (int64_t count = 1; count <= 70; ++count) {
        TestCache cache = Fill(element, count, width, random);
        ExpectAttention(RandomFloats((1 + count % 3) * width, random), cache, count);
      }
    }
  }
}

TEST_P(AttendTest, AnyNumberOfHeadsIsAsInDoublePrecision) {
  std::mt19937 random(4);
  for (const CacheElement element : kAllElements) {
    for (const int64_t width : {32, 64, 96, 128}) {
      for (const int64_t count : {5, 16, 83}) {
        TestCache cache = Fill(element, count, width, random);
        for (int64_t heads = 1; heads <= 9; ++heads) ExpectAttention(RandomFloats(heads * width, random), cache, count);
      }
    }
  }
}

TEST_P(AttendTest, ManyPositionsAreAsInDoublePrecision) {
  std::mt19937 random(5);
  for (const CacheElement element : kAllElements) {
    for (const int64_t count : {1000, 2049}) {
      TestCache cache = Fill(element, count, 64, random);
      ExpectAttention(RandomFloats(int64_t{3} * 64, random), cache, count);
    }
  }
}

// Nearly all weight is on one position.
TEST_P(AttendTest, LargeScoresAreAsInDoublePrecision) {
  std::mt19937 random(6);
  for (const CacheElement element : kAllElements) {
    for (const float times : {10.0F, 30.0F}) {
      for (const int64_t count : {3, 40, 100}) {
        TestCache cache = Fill(element, count, 64, random, times);
        ExpectAttention(RandomFloats(int64_t{2} * 64, random), cache, count);
      }
    }
  }
}

TEST_P(AttendTest, EqualScoresGiveTheMean) {
  std::mt19937 random(7);
  for (const CacheElement element : kAllElements) {
    for (const int64_t count : {1, 2, 16, 33, 257}) {
      TestCache cache = Fill(element, count, 64, random, 0);
      ExpectAttention(RandomFloats(64, random), cache, count);
      ExpectAttention(std::vector<float>(64, 0), cache, count);
    }
  }
}

TEST_P(AttendTest, TheOnlyPositionGivesItsValue) {
  std::mt19937 random(8);
  TestCache cache = Fill(CacheElement::kF32, 1, 96, random);
  const std::vector<float> out = Run(RandomFloats(96, random), cache, 1);
  const std::vector<double> value = cache.Values(1);
  for (int64_t i = 0; i < 96; ++i) EXPECT_FLOAT_EQ(out[i], static_cast<float>(value[i]));
}

// Another sequence may have been there before, or nothing.
TEST_P(AttendTest, WhatLiesBeyondTheLastPositionDoesNotMatter) {
  std::mt19937 random(9);
  for (const CacheElement element : kAllElements) {
    for (int64_t count = 1; count <= 35; ++count) {
      TestCache alone = Fill(element, count, 64, random);
      const std::vector<float> queries = RandomFloats(int64_t{3} * 64, random);
      const std::vector<float> expected = Run(queries, alone, count);
      for (const float beyond : {NAN, INFINITY, -INFINITY, 6e4F}) {
        TestCache cache(element, 64, 64);
        const size_t bytes = alone.get().element == CacheElement::kF16 ? 2 : 4;
        const size_t used = static_cast<size_t>((count + 15) / 16 * 16 * 64) * bytes;
        std::memcpy(cache.get().keys, alone.get().keys, used);
        std::memcpy(cache.get().values, alone.get().values, used);
        const std::vector<float> other(64, beyond);
        for (int64_t position = count; position < 64; ++position) {
          kernels().store(other.data(), other.data(), position, cache.get());
        }
        ASSERT_TRUE(SameBits(Run(queries, cache, count), expected)) << count << " " << beyond;
      }
    }
  }
}

// Such a result must not look like one.
TEST_P(AttendTest, WhatIsNotANumberSpoilsTheResult) {
  std::mt19937 random(10);
  for (const CacheElement element : kAllElements) {
    for (const int64_t count : {1, 7, 16, 20, 50, 64}) {
      const std::vector<float> queries = RandomFloats(int64_t{3} * 64, random);
      std::vector<float> bad_query = queries;
      bad_query[64 + 10] = NAN;
      TestCache cache = Fill(element, count, 64, random);
      const std::vector<float> good = Run(queries, cache, count);
      const std::vector<float> out = Run(bad_query, cache, count);
      for (int64_t i = 0; i < int64_t{3} * 64; ++i) {
        if (i / 64 == 1) {
          ASSERT_TRUE(std::isnan(out[i])) << count;
        } else {
          ASSERT_EQ(out[i], good[i]);
        }
      }
      std::vector<float> key = RandomFloats(64, random);
      key[static_cast<size_t>(random() % 64)] = NAN;
      kernels().store(key.data(), RandomFloats(64, random).data(), static_cast<int64_t>(random() % count), cache.get());
      for (const float x : Run(queries, cache, count)) ASSERT_TRUE(std::isnan(x)) << count;
    }
  }
}

TEST_P(AttendTest, AHeadIsTheSameAloneAndAmongAnyNumber) {
  std::mt19937 random(11);
  for (const CacheElement element : kAllElements) {
    for (const int64_t width : {32, 64, 96, 128}) {
      for (const int64_t count : {9, 70}) {
        TestCache cache = Fill(element, count, width, random);
        const std::vector<float> queries = RandomFloats(9 * width, random);
        std::vector<float> alone;
        for (int64_t head = 0; head < 9; ++head) {
          const auto from = queries.begin() + head * width;
          const std::vector<float> out = Run({from, from + width}, cache, count);
          alone.insert(alone.end(), out.begin(), out.end());
        }
        for (int64_t heads = 1; heads <= 9; ++heads) {
          const std::vector<float> out = Run({queries.begin(), queries.begin() + heads * width}, cache, count);
          ASSERT_TRUE(SameBits(out, {alone.begin(), alone.begin() + heads * width})) << heads << " of " << width;
        }
      }
    }
  }
}

}  // namespace
}  // namespace predictd
