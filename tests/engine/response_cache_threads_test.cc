#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "server/engine/response_cache.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

constexpr size_t kCapacity = 64 << 10;
constexpr uint64_t kKeys = 300;

// Adds up what a cache reports, from any thread.
class AtomicRecorder final : public ResponseCacheObserver {
 public:
  void OnLookup(bool hit) override { ++(hit ? hits : misses); }
  void OnSizeChange(int64_t by_entries, int64_t by_bytes) override {
    entries += by_entries;
    if (const int64_t now = bytes += by_bytes; now > static_cast<int64_t>(kCapacity)) above_capacity = true;
  }
  void OnEvicted(int64_t by_entries) override { evicted += by_entries; }

  std::atomic<int64_t> hits{0};
  std::atomic<int64_t> misses{0};
  std::atomic<int64_t> entries{0};
  std::atomic<int64_t> bytes{0};
  std::atomic<int64_t> evicted{0};
  std::atomic<bool> above_capacity{false};
};

TEST(ResponseCacheThreadsTest, AnswersAreRightAndTheBoundHoldsWhateverManyThreadsDo) {
  constexpr int kThreads = 4;
  constexpr int kSteps = 20'000;
  const SteadyClock clock;
  AtomicRecorder recorder;
  std::atomic<int> wrong{0};
  std::atomic<int64_t> stored{0};
  {
    ResponseCache cache({.capacity_bytes = kCapacity, .observer = &recorder}, clock);
    std::vector<std::thread> threads;
    for (uint32_t seed = 0; seed < kThreads; ++seed) {
      threads.emplace_back([&, seed] {
        std::mt19937 random(seed);
        for (int i = 0; i < kSteps; ++i) {
          const uint64_t number = random() % kKeys;
          const RequestKey key = {number, number, number, number};
          const std::vector<float> answer(1 + number % 40, static_cast<float>(number));
          const auto found = cache.Lookup(key);
          if (!found.has_value()) {
            cache.Store(key, {Floats({static_cast<int64_t>(answer.size())}, answer)});
            ++stored;
          } else if (Values(found->outputs[0]) != answer || found->age < Duration::zero()) {
            ++wrong;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(recorder.hits + recorder.misses, kThreads * kSteps);
    EXPECT_GT(recorder.hits, 0);
    EXPECT_GT(recorder.evicted, 0);
    EXPECT_LE(recorder.entries + recorder.evicted, stored);
    EXPECT_GT(recorder.entries, 0);
    EXPECT_FALSE(recorder.above_capacity);
  }
  EXPECT_EQ(recorder.entries, 0);
  EXPECT_EQ(recorder.bytes, 0);
}

}  // namespace
}  // namespace predictd
