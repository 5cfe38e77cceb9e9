#ifndef PREDICTD_TESTS_KERNELS_CACHE_FIXTURE_H_
#define PREDICTD_TESTS_KERNELS_CACHE_FIXTURE_H_

#include <cmath>
#include <cstring>
#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/reference.h"

namespace predictd {

inline constexpr CacheElement kAllElements[] = {CacheElement::kF16, CacheElement::kF32};

// The cache of a head, in which nothing is a number until it is stored.
class TestCache {
 public:
  TestCache(CacheElement element, int64_t positions, int64_t width)
      : element_(element),
        width_(width),
        bytes_per_element_(element == CacheElement::kF16 ? 2 : 4),
        keys_(Bytes(positions), 0xff),
        values_(Bytes(positions), 0xff) {}

  HeadCache get() { return {.keys = keys_.data(), .values = values_.data(), .element = element_, .width = width_}; }
  // The bits of an element.
  uint32_t Key(int64_t position, int64_t i) const {
    return Element(keys_, position / HeadCache::kBlock * HeadCache::kBlock * width_ + i * HeadCache::kBlock +
                              position % HeadCache::kBlock);
  }
  uint32_t Value(int64_t position, int64_t i) const { return Element(values_, position * width_ + i); }

  std::vector<double> Keys(int64_t count) const {
    return Numbers(count, [&](int64_t position, int64_t i) { return Key(position, i); });
  }
  std::vector<double> Values(int64_t count) const {
    return Numbers(count, [&](int64_t position, int64_t i) { return Value(position, i); });
  }
  // What is there where nothing was stored.
  uint32_t Untouched() const { return element_ == CacheElement::kF16 ? 0xffff : 0xffffffff; }
  // As what a number is stored.
  uint32_t Stored(float x) const {
    if (element_ == CacheElement::kF16) return HalfBits(x);
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return bits;
  }

 private:
  size_t Bytes(int64_t positions) const {
    const int64_t blocks = (positions + HeadCache::kBlock - 1) / HeadCache::kBlock;
    return static_cast<size_t>(blocks * HeadCache::kBlock * width_ * bytes_per_element_);
  }
  uint32_t Element(const std::vector<uint8_t>& from, int64_t index) const {
    uint32_t bits = 0;
    std::memcpy(&bits, from.data() + index * bytes_per_element_, static_cast<size_t>(bytes_per_element_));
    return bits;
  }
  template <class BitsOf>
  std::vector<double> Numbers(int64_t count, BitsOf bits_of) const {
    std::vector<double> numbers;
    for (int64_t i = 0; i < count * width_; ++i) {
      const uint32_t bits = bits_of(i / width_, i % width_);
      float x;
      std::memcpy(&x, &bits, sizeof(x));
      numbers.push_back(element_ == CacheElement::kF16 ? HalfValue(static_cast<uint16_t>(bits)) : double{x});
    }
    return numbers;
  }

  const CacheElement element_;
  const int64_t width_;
  const int64_t bytes_per_element_;
  std::vector<uint8_t> keys_;
  std::vector<uint8_t> values_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_CACHE_FIXTURE_H_
