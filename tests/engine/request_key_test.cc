#include "server/engine/request_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

// A tensor of that type in memory of its own, filled with `bytes`.
Tensor Filled(DType dtype, Shape shape, const std::string& bytes) {
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(dtype, std::move(shape), &fill);
  EXPECT_EQ(tensor.byte_size(), bytes.size());
  if (!bytes.empty()) std::memcpy(fill, bytes.data(), bytes.size());
  return tensor;
}

RequestKey KeyOf(int64_t version, const std::vector<Tensor>& inputs) {
  const std::optional<RequestKey> key = MakeRequestKey(version, inputs);
  EXPECT_TRUE(key.has_value());
  return key.value_or(RequestKey{});
}

TEST(RequestKeyTest, IsTheSha256OfEverythingInOrder) {
  // The sha256sum of: version 3, two inputs; FP32 (11), rank 2, [1, 2], 1.0, 2.0; BYTES (13), rank 1, [2], "a", "".
  const std::vector<Tensor> inputs = {Floats({1, 2}, {1, 2}), Strings({2}, {"a", ""})};
  const RequestKey key = KeyOf(3, inputs);
  std::string hex;
  for (size_t i = 0; i < sizeof(key); ++i) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", reinterpret_cast<const unsigned char*>(key.data())[i]);
    hex += digits;
  }
  EXPECT_EQ(hex, "f4fbe364df7fb603495efc728c6bcb10d4866a67930909d16324976f51b55bc1");
}

TEST(RequestKeyTest, EqualInputsHaveEqualKeysWhereverTheyLie) {
  const Tensor rows = Floats({3, 2}, {9, 9, 1, 2, 9, 9});
  EXPECT_EQ(KeyOf(1, {rows.Rows(1, 1)}), KeyOf(1, {Floats({1, 2}, {1, 2})}));
  const Tensor strings = Strings({3}, {"x", "ab", "y"});
  EXPECT_EQ(KeyOf(1, {strings.Rows(1, 1)}), KeyOf(1, {Strings({1}, {"ab"})}));
}

TEST(RequestKeyTest, RequestsThatDifferInAnythingHaveDifferentKeys) {
  const std::string eight = "abcdefgh";
  const std::string six_floats(24, '\1');
  struct Request {
    int64_t version;
    std::vector<Tensor> inputs;
  };
  const std::vector<Request> requests = {
      {1, {Filled(DType::kFp32, {2}, eight)}},
      {2, {Filled(DType::kFp32, {2}, eight)}},
      {1, {Filled(DType::kInt32, {2}, eight)}},
      {1, {Filled(DType::kFp32, {1, 2}, eight)}},
      {1, {Filled(DType::kFp32, {2, 1}, eight)}},
      {1, {Filled(DType::kFp64, {1}, eight)}},
      {1, {Filled(DType::kUint8, {8}, eight)}},
      {1, {Filled(DType::kUint8, {8}, "abcdefgi")}},
      // The same bytes, split into tensors at other places.
      {1, {Filled(DType::kUint8, {4}, "abcd"), Filled(DType::kUint8, {4}, "efgh")}},
      {1, {Filled(DType::kUint8, {3}, "abc"), Filled(DType::kUint8, {5}, "defgh")}},
      {1, {Filled(DType::kUint8, {4}, "efgh"), Filled(DType::kUint8, {4}, "abcd")}},
      {1, {Filled(DType::kFp32, {2, 3}, six_floats)}},
      {1, {Filled(DType::kFp32, {3, 2}, six_floats)}},
      {1, {Filled(DType::kFp32, {6}, six_floats)}},
      // +0 and -0 are equal, but their bits differ.
      {1, {Floats({1}, {0.0F})}},
      {1, {Floats({1}, {-0.0F})}},
      {1, {}},
      // There are no elements at all.
      {1, {Floats({0, 2}, {})}},
      {1, {Floats({0, 3}, {})}},
      {1, {Strings({0}, {})}},
      // Concatenated, these strings are the same.
      {1, {Strings({2}, {"ab", "c"})}},
      {1, {Strings({2}, {"a", "bc"})}},
      {1, {Strings({2}, {"abc", ""})}},
      {1, {Strings({2}, {"", "abc"})}},
      {1, {Strings({1}, {"abc"})}},
      {1, {Strings({3}, {"abc", "", ""})}},
      {1, {Strings({1}, {"abc"}), Strings({1}, {""})}},
      // One string contains what is hashed in front of another one.
      {1, {Strings({1}, {std::string("a\1\0\0\0\0\0\0\0b", 10)})}},
      {1, {Strings({2}, {"a", "b"})}},
      {1, {Filled(DType::kUint8, {3}, "abc")}},
  };
  std::set<RequestKey> keys;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(keys.insert(KeyOf(requests[i].version, requests[i].inputs)).second) << "request " << i;
  }
}

TEST(RequestKeyTest, EveryBitCountsWhateverTheSize) {
  // Sizes around the one up to which the hash gathers bytes.
  for (size_t size : {1, 463, 464, 465, 511, 512, 513, 5000}) {
    const std::string bytes(size, 'x');
    std::set<RequestKey> keys;
    for (size_t flipped : {size_t{0}, size / 2, size - 1}) {
      std::string other = bytes;
      other[flipped] = 'y';
      keys.insert(KeyOf(1, {Filled(DType::kUint8, {static_cast<int64_t>(size)}, other)}));
    }
    EXPECT_EQ(keys.size(), size == 1 ? 1U : 3U) << size;
    EXPECT_FALSE(keys.contains(KeyOf(1, {Filled(DType::kUint8, {static_cast<int64_t>(size)}, bytes)}))) << size;
  }
}

TEST(RequestKeyTest, StringsAreNotMixedUpHoweverManyThereAre) {
  std::mt19937 random(5);
  std::vector<std::string> strings(3000);
  for (std::string& string : strings) string.assign(random() % 40, static_cast<char>('a' + random() % 26));
  const RequestKey key = KeyOf(1, {Strings({3000}, strings)});
  EXPECT_EQ(KeyOf(1, {Strings({3000}, strings)}), key);
  // One letter moves to the neighbouring string.
  const auto long_one = std::find_if(strings.begin() + 1500, strings.end(), [](auto& s) { return !s.empty(); });
  ASSERT_NE(long_one, strings.end() - 1);
  (long_one + 1)->insert(0, 1, long_one->back());
  long_one->pop_back();
  EXPECT_NE(KeyOf(1, {Strings({3000}, strings)}), key);
}

TEST(RequestKeyTest, InputsThatAreTooLargeHaveNone) {
  constexpr auto kMost = static_cast<int64_t>(kMaxKeyedBytes);
  EXPECT_TRUE(MakeRequestKey(1, {Filled(DType::kUint8, {kMost}, std::string(kMost, 'x'))}).has_value());
  EXPECT_FALSE(MakeRequestKey(1, {Filled(DType::kUint8, {kMost + 1}, std::string(kMost + 1, 'x'))}).has_value());
  const std::vector<Tensor> together = {Filled(DType::kUint8, {kMost / 2}, std::string(kMost / 2, 'x')),
                                        Filled(DType::kUint8, {kMost / 2 + 1}, std::string(kMost / 2 + 1, 'x'))};
  EXPECT_FALSE(MakeRequestKey(1, together).has_value());
}

TEST(RequestKeyTest, TheLengthOfAStringCountsAsPartOfIt) {
  constexpr int64_t kMost = kMaxKeyedBytes / sizeof(uint64_t);
  EXPECT_TRUE(MakeRequestKey(1, {Strings({kMost}, std::vector<std::string>(kMost))}).has_value());
  EXPECT_FALSE(MakeRequestKey(1, {Strings({kMost + 1}, std::vector<std::string>(kMost + 1))}).has_value());
}

TEST(RequestKeyTest, InputThatIsNotThereIsNoEmptyOne) {
  const RequestKey absent = KeyOf(1, {Tensor::Absent(DType::kFp32)});
  EXPECT_NE(absent, KeyOf(1, {Floats({0}, {})}));
  EXPECT_NE(absent, KeyOf(1, {}));
}

}  // namespace
}  // namespace predictd
