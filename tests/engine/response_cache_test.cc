#include "server/engine/response_cache.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/fakes/manual_clock.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

// Adds up what a cache reports, and checks that it never holds more than it may.
class Recorder final : public ResponseCacheObserver {
 public:
  explicit Recorder(size_t capacity) : capacity_(static_cast<int64_t>(capacity)) {}

  void OnLookup(bool hit) override { ++(hit ? hits : misses); }
  void OnSizeChange(int64_t by_entries, int64_t by_bytes) override {
    entries += by_entries;
    bytes += by_bytes;
    EXPECT_LE(bytes, capacity_);
    EXPECT_GE(bytes, 0);
    EXPECT_EQ(entries == 0, bytes == 0);
  }
  void OnEvicted(int64_t by_entries) override { evicted += by_entries; }

  int64_t hits = 0;
  int64_t misses = 0;
  int64_t entries = 0;
  int64_t bytes = 0;
  int64_t evicted = 0;

 private:
  const int64_t capacity_;
};

RequestKey Key(uint64_t number) {
  return {number, 0, 0, 0};
}

class ResponseCacheTest : public testing::Test {
 protected:
  static constexpr size_t kCapacity = 64 << 10;

  std::vector<float> Cached(uint64_t number) {
    const std::optional<CachedResponse> found = cache_.Lookup(Key(number));
    return found.has_value() ? Values(found->outputs[0]) : std::vector<float>();
  }
  void StoreFloat(uint64_t number, float value) { cache_.Store(Key(number), {Floats({1, 1}, {value})}); }
  // The size of one entry of StoreFloat.
  int64_t EntryBytes() {
    Recorder recorder(kCapacity);
    ResponseCache cache({.capacity_bytes = kCapacity, .observer = &recorder}, clock_);
    cache.Store(Key(0), {Floats({1, 1}, {0})});
    return recorder.bytes;
  }

  ManualClock clock_;
  Recorder recorder_{kCapacity};
  ResponseCache cache_{{.capacity_bytes = kCapacity, .observer = &recorder_}, clock_};
};

TEST_F(ResponseCacheTest, GivesBackWhatWasStoredUnderTheKeyOnly) {
  cache_.Store(Key(1), {Floats({2, 2}, {1, 2, 3, 4}), Strings({2}, {"a", std::string(100, 'b')})});
  const std::optional<CachedResponse> found = cache_.Lookup(Key(1));
  ASSERT_TRUE(found.has_value());
  ASSERT_EQ(found->outputs.size(), 2U);
  EXPECT_EQ(found->outputs[0].dtype(), DType::kFp32);
  EXPECT_EQ(found->outputs[0].shape(), (Shape{2, 2}));
  EXPECT_EQ(Values(found->outputs[0]), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(found->outputs[1].dtype(), DType::kBytes);
  EXPECT_EQ(found->outputs[1].shape(), (Shape{2}));
  EXPECT_EQ(found->outputs[1].strings()[1], std::string(100, 'b'));
  // Keys that agree in parts.
  for (const RequestKey& key : {RequestKey{1, 0, 0, 1}, RequestKey{0, 1, 0, 0}, RequestKey{}}) {
    EXPECT_FALSE(cache_.Lookup(key).has_value());
  }
  EXPECT_EQ(recorder_.hits, 1);
  EXPECT_EQ(recorder_.misses, 3);
}

TEST_F(ResponseCacheTest, TensorsWithoutElementsAreStored) {
  cache_.Store(Key(1), {Floats({0, 3}, {}), Strings({0}, {})});
  const std::optional<CachedResponse> found = cache_.Lookup(Key(1));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->outputs[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(found->outputs[1].elements(), 0);
}

TEST_F(ResponseCacheTest, TellsHowOldAnAnswerIs) {
  StoreFloat(1, 1);
  EXPECT_EQ(cache_.Lookup(Key(1))->age, Duration::zero());
  clock_.Advance(std::chrono::seconds(3));
  StoreFloat(2, 2);
  clock_.Advance(std::chrono::seconds(4));
  // A lookup does not make the answer any younger.
  EXPECT_EQ(cache_.Lookup(Key(1))->age, std::chrono::seconds(7));
  EXPECT_EQ(cache_.Lookup(Key(1))->age, std::chrono::seconds(7));
  EXPECT_EQ(cache_.Lookup(Key(2))->age, std::chrono::seconds(4));
}

TEST_F(ResponseCacheTest, TheFirstAnswerStaysIfAnotherOneComes) {
  StoreFloat(1, 1);
  clock_.Advance(std::chrono::seconds(1));
  StoreFloat(1, 2);
  EXPECT_EQ(Cached(1), std::vector<float>{1});
  EXPECT_EQ(cache_.Lookup(Key(1))->age, std::chrono::seconds(1));
  EXPECT_EQ(recorder_.entries, 1);
  EXPECT_EQ(recorder_.bytes, EntryBytes());
}

TEST_F(ResponseCacheTest, HoldsAsManyEntriesAsFitAndNotOneMore) {
  const int64_t fit = static_cast<int64_t>(kCapacity) / EntryBytes();
  ASSERT_GT(fit, 10);
  for (int64_t i = 0; i < fit; ++i) StoreFloat(i, 1);
  EXPECT_EQ(recorder_.entries, fit);
  EXPECT_EQ(recorder_.bytes, fit * EntryBytes());
  EXPECT_EQ(recorder_.evicted, 0);
  StoreFloat(fit, 1);
  EXPECT_EQ(recorder_.entries, fit);
  EXPECT_EQ(recorder_.evicted, 1);
}

TEST_F(ResponseCacheTest, WhatWasNotAskedForTheLongestTimeGoesFirst) {
  const uint64_t fit = static_cast<uint64_t>(kCapacity) / EntryBytes();
  for (uint64_t i = 0; i < fit; ++i) StoreFloat(i, static_cast<float>(i));
  // One is looked up and the other is stored in vain: only the lookup counts as a use.
  EXPECT_EQ(Cached(0), std::vector<float>{0});
  StoreFloat(1, 7);
  StoreFloat(fit, 1);
  StoreFloat(fit + 1, 1);
  EXPECT_EQ(Cached(0), std::vector<float>{0});
  EXPECT_TRUE(Cached(1).empty());
  EXPECT_TRUE(Cached(2).empty());
  EXPECT_EQ(Cached(3), std::vector<float>{3});
  EXPECT_EQ(recorder_.evicted, 2);
}

TEST_F(ResponseCacheTest, FillsItsBoundToTheLastByte) {
  const int64_t exactly = 10 * EntryBytes();
  Recorder recorder(exactly);
  ResponseCache cache({.capacity_bytes = static_cast<size_t>(exactly), .observer = &recorder}, clock_);
  for (uint64_t i = 0; i < 10; ++i) cache.Store(Key(i), {Floats({1, 1}, {1})});
  EXPECT_EQ(recorder.bytes, exactly);
  EXPECT_EQ(recorder.evicted, 0);
}

TEST_F(ResponseCacheTest, OneLargeEntryDrivesOutAsManySmallOnesAsItNeeds) {
  constexpr size_t kLargeCapacity = 1 << 20;
  Recorder recorder(kLargeCapacity);
  ResponseCache cache({.capacity_bytes = kLargeCapacity, .observer = &recorder}, clock_);
  const int64_t fit = static_cast<int64_t>(kLargeCapacity) / EntryBytes();
  for (int64_t i = 0; i < fit; ++i) cache.Store(Key(i), {Floats({1, 1}, {1})});
  ASSERT_EQ(recorder.evicted, 0);
  const std::vector<float> large(25'000, 1);
  cache.Store(Key(10'000), {Floats({1, 25'000}, large)});
  const std::optional<CachedResponse> found = cache.Lookup(Key(10'000));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(Values(found->outputs[0]), large);
  EXPECT_GT(recorder.evicted, 200);
  EXPECT_EQ(recorder.entries, fit - recorder.evicted + 1);
  EXPECT_GT(recorder.bytes + EntryBytes(), static_cast<int64_t>(kLargeCapacity)) << "one too many went";
  EXPECT_FALSE(cache.Lookup(Key(recorder.evicted - 1)).has_value());
  EXPECT_TRUE(cache.Lookup(Key(recorder.evicted)).has_value());
}

TEST_F(ResponseCacheTest, AnEntryThatTakesMoreThanItsPartIsNotStored) {
  // With its overhead the entry takes more than an eighth.
  constexpr int64_t kPart = kCapacity / ResponseCache::kMaxEntryPart / sizeof(float);
  cache_.Store(Key(1), {Floats({kPart}, std::vector<float>(kPart))});
  EXPECT_FALSE(cache_.Lookup(Key(1)).has_value());
  EXPECT_EQ(recorder_.entries, 0);
  cache_.Store(Key(1), {Floats({kPart - 200}, std::vector<float>(kPart - 200))});
  EXPECT_TRUE(cache_.Lookup(Key(1)).has_value());
}

TEST_F(ResponseCacheTest, OutputsThatAreTooLargeForAnEventLoopAreNotStored) {
  ResponseCache cache({.capacity_bytes = 64 << 20}, clock_);
  constexpr int64_t kMost = ResponseCache::kMaxOutputBytes / sizeof(float);
  cache.Store(Key(1), {Floats({kMost}, std::vector<float>(kMost))});
  EXPECT_TRUE(cache.Lookup(Key(1)).has_value());
  cache.Store(Key(2), {Floats({kMost}, std::vector<float>(kMost)), Floats({1}, {1})});
  EXPECT_FALSE(cache.Lookup(Key(2)).has_value());
  cache.Store(Key(3), {Strings({2}, {std::string(ResponseCache::kMaxOutputBytes, 'x'), ""})});
  EXPECT_FALSE(cache.Lookup(Key(3)).has_value());
}

TEST_F(ResponseCacheTest, AnAnswerOutlivesItsEviction) {
  StoreFloat(1, 1);
  const std::optional<CachedResponse> found = cache_.Lookup(Key(1));
  for (uint64_t i = 10; i < 1000; ++i) StoreFloat(i, 0);
  ASSERT_FALSE(cache_.Lookup(Key(1)).has_value());
  EXPECT_EQ(Values(found->outputs[0]), std::vector<float>{1});
}

TEST_F(ResponseCacheTest, ASliceDoesNotKeepItsBatch) {
  auto batch = std::make_shared<std::vector<float>>(1 << 20, 3.0F);
  const std::weak_ptr<std::vector<float>> alive = batch;
  {
    const float* data = batch->data();
    const Tensor whole(DType::kFp32, {1 << 20, 1}, data, std::move(batch));
    cache_.Store(Key(1), {whole.Rows(5, 1)});
  }
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(Cached(1), std::vector<float>{3});
  EXPECT_EQ(recorder_.bytes, EntryBytes()) << "charged for more than the slice";
}

TEST_F(ResponseCacheTest, ASliceOfStringsIsChargedForItsOwnOnly) {
  cache_.Store(Key(1), {Strings({100}, std::vector<std::string>(100, std::string(50, 'x'))).Rows(7, 1)});
  const int64_t slice = recorder_.bytes;
  cache_.Store(Key(2), {Strings({1}, {std::string(50, 'x')})});
  EXPECT_EQ(recorder_.bytes, 2 * slice);
}

TEST_F(ResponseCacheTest, NothingIsLeftWhenItIsGone) {
  Recorder recorder(kCapacity);
  {
    ResponseCache cache({.capacity_bytes = kCapacity, .observer = &recorder}, clock_);
    for (uint64_t i = 0; i < 1000; ++i) cache.Store(Key(i), {Floats({1}, {1})});
    EXPECT_GT(recorder.entries, 0);
  }
  EXPECT_EQ(recorder.entries, 0);
  EXPECT_EQ(recorder.bytes, 0);
}

TEST_F(ResponseCacheTest, RandomUseAgreesWithAListInOrder) {
  const uint64_t fit = static_cast<uint64_t>(kCapacity) / EntryBytes();
  std::mt19937 random(11);
  // The numbers in the cache, the last used first.
  std::vector<uint64_t> expected;
  for (int i = 0; i < 100'000; ++i) {
    const uint64_t number = random() % (fit + fit / 2);
    const auto found = std::find(expected.begin(), expected.end(), number);
    const bool kept = found != expected.end();
    if (random() % 2 == 0) {
      ASSERT_EQ(cache_.Lookup(Key(number)).has_value(), kept) << "step " << i;
      if (kept) std::rotate(expected.begin(), found, found + 1);
    } else if (StoreFloat(number, 1); !kept) {
      expected.insert(expected.begin(), number);
      if (expected.size() > fit) expected.pop_back();
    }
  }
  EXPECT_EQ(recorder_.entries, static_cast<int64_t>(fit));
  EXPECT_GT(recorder_.evicted, 1000);
}

// The bytes that the heap has given out.
size_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

struct Outputs {
  const char* what;
  std::vector<Tensor> tensors;
};

std::ostream& operator<<(std::ostream& out, const Outputs& outputs) {
  return out << outputs.what;
}

class ResponseCacheMemory : public testing::TestWithParam<Outputs> {};

TEST_P(ResponseCacheMemory, IsChargedForWhatItTakes) {
  const size_t before_probe = HeapInUse();
  const std::vector<std::string> probe(1000, std::string(1000, 'x'));
  if (HeapInUse() < before_probe + 1'000'000) GTEST_SKIP() << "a sanitizer's heap does not count";

  constexpr size_t kCapacity = 8 << 20;
  const ManualClock clock;
  Recorder recorder(kCapacity);
  const size_t before = HeapInUse();
  const auto cache = std::make_unique<ResponseCache>(
      ResponseCache::Options{.capacity_bytes = kCapacity, .observer = &recorder}, clock);
  for (uint64_t i = 0; recorder.evicted == 0; ++i) cache->Store(Key(i), GetParam().tensors);
  const auto taken = static_cast<double>(HeapInUse() - before);
  // If entries are large, the index has buckets for more entries than there are.
  EXPECT_GE(static_cast<double>(recorder.bytes), 0.95 * taken);
  EXPECT_LE(static_cast<double>(recorder.bytes), 1.1 * taken);
  RecordProperty("charged_part", std::to_string(static_cast<double>(recorder.bytes) / taken));
}

INSTANTIATE_TEST_SUITE_P(
    Table, ResponseCacheMemory,
    testing::Values(Outputs{"a number", {Floats({1, 1}, {1})}},
                    Outputs{"rows", {Floats({4, 64}, std::vector<float>(256, 1))}},
                    Outputs{"ten outputs", std::vector<Tensor>(10, Floats({1, 5}, {1, 2, 3, 4, 5}))},
                    Outputs{"many dimensions", {Floats({1, 1, 1, 1, 1, 1}, {1})}},
                    Outputs{"short strings", {Strings({20}, std::vector<std::string>(20, "short"))}},
                    Outputs{"long strings", {Strings({20}, std::vector<std::string>(20, std::string(100, 'x')))}}));

}  // namespace
}  // namespace predictd
