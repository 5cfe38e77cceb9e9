#include "server/model/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>

namespace predictd {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;

// The cache bytes that a token of SmolLM2 takes.
constexpr int64_t kTokenBytes = 23040;

// Takes the weights, and the cache if there is one.
absl::StatusOr<std::unique_ptr<MemoryPlan::Claim>> Take(MemoryPlan& plan, int64_t weights,
                                                        const CacheDemand& cache = {}) {
  auto claim = plan.Take(weights);
  if (!claim.ok() || cache.slots == 0) return claim;
  if (absl::Status status = (*claim)->TakeCache(cache); !status.ok()) return status;
  return claim;
}

CacheDemand Gibibytes(int64_t bytes) {
  return {.slot_bytes = bytes * kGiB, .slots = 1, .max_length = 1};
}

CacheDemand Demand(int64_t slots, int64_t max_length) {
  return {.slot_bytes = max_length * kTokenBytes, .slots = slots, .prefix_slots = 4, .max_length = max_length};
}

TEST(MemoryPlanTest, WhatIsTakenIsNotLeft) {
  MemoryPlan plan(24 * kGiB, 2 * kGiB);
  EXPECT_EQ(plan.left(), 22 * kGiB);
  const auto generator = Take(plan, kGiB, Gibibytes(3));
  const auto model = Take(plan, kGiB);
  EXPECT_EQ(plan.taken(), 5 * kGiB);
  EXPECT_EQ(plan.caches(), 3 * kGiB);
  EXPECT_EQ(plan.left(), 17 * kGiB);
}

TEST(MemoryPlanTest, WhatIsGivenBackIsLeftAgain) {
  MemoryPlan plan(24 * kGiB, 0);
  {
    const auto generator = Take(plan, kGiB, Gibibytes(3));
    (*generator)->NoteWorking(kGiB);
    EXPECT_EQ(plan.left(), 19 * kGiB);
  }
  EXPECT_EQ(plan.left(), 24 * kGiB);
  EXPECT_FALSE(Take(plan, kGiB, Gibibytes(24)).ok());
  EXPECT_EQ(plan.left(), 24 * kGiB) << "a refused model keeps nothing";
}

TEST(MemoryPlanTest, RunsTakeTurns) {
  MemoryPlan plan(24 * kGiB, 0);
  const auto large = Take(plan, 0);
  const auto small = Take(plan, 0);
  (*large)->NoteWorking(2 * kGiB);
  (*small)->NoteWorking(kGiB);
  EXPECT_EQ(plan.left(), 22 * kGiB);
}

TEST(MemoryPlanTest, CacheCountsAsIfAllSlotsWereFull) {
  MemoryPlan plan(24 * kGiB, 2 * kGiB);
  EXPECT_TRUE(Take(plan, 100 * kMiB, Demand(16, 2048)).ok());
  EXPECT_TRUE(Take(plan, 100 * kMiB, Demand(32, 4096)).ok());
  const absl::Status status = Take(plan, 100 * kMiB, Demand(256, 8192)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "the model does not fit into memory: 260 slots (slots = 256, prefix_slots = 4) of max_length = 8192 tokens "
            "take 45.7 GiB when all are full, 180 MiB each, and its weights 100 MiB; 22 GiB of 24 GiB are left for it: "
            "the server and its callers have 2 GiB, other models 0 bytes. Of that length 124 slots would fit in all, "
            "or that many of about 3925 tokens");
}

TEST(MemoryPlanTest, OthersThatCameBeforeTakeTheRoom) {
  MemoryPlan plan(24 * kGiB, 2 * kGiB);
  const auto other = Take(plan, kGiB, Gibibytes(20));
  const absl::Status status = Take(plan, 100 * kMiB, Demand(48, 2048)).status();
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("other models 21 GiB"));
  EXPECT_TRUE(Take(plan, 100 * kMiB, Demand(8, 2048)).ok());
}

TEST(MemoryPlanTest, WeightsAloneMayBeTooMuch) {
  MemoryPlan plan(kGiB, 256 * kMiB);
  EXPECT_TRUE(Take(plan, 768 * kMiB).ok());
  const absl::Status status = Take(plan, 769 * kMiB).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "the model does not fit into memory: its file has 769 MiB, and 768 MiB of 1 GiB are left for it: the "
            "server and its callers have 256 MiB, other models 0 bytes");
}

TEST(MemoryPlanTest, WhatOtherProcessesHoldIsNotLeft) {
  int64_t reachable = 30 * kGiB;
  MemoryPlan plan(24 * kGiB, 2 * kGiB, [&reachable] { return reachable; });
  EXPECT_EQ(plan.left(), 22 * kGiB) << "no more than the limit";
  const auto model = Take(plan, 5 * kGiB);
  reachable = 10 * kGiB;
  EXPECT_EQ(plan.left(), 3 * kGiB);
  EXPECT_EQ(plan.Take(4 * kGiB).status().message(),
            "the model does not fit into memory: its file has 4 GiB, and 3 GiB of 24 GiB are left for it: the server "
            "and its callers have 2 GiB, other models 5 GiB, other processes and the system 14 GiB");
  EXPECT_FALSE(Take(plan, kGiB, Gibibytes(3)).ok());
  reachable = kGiB;
  EXPECT_EQ(plan.left(), 0);
}

// Counts how often something is to be loaded once more.
class MemoryRetryTest : public testing::Test {
 protected:
  MemoryRetryTest() {
    plan_.OnRoom([this] { ++retries_; });
  }

  // Takes what a model takes that serves.
  std::unique_ptr<MemoryPlan::Claim> Serve(int64_t weights) {
    auto claim = plan_.Take(weights);
    EXPECT_TRUE(claim.ok()) << claim.status();
    (*claim)->NoteServing();
    return *std::move(claim);
  }

  MemoryPlan plan_{10 * kGiB, 0};
  int retries_ = 0;
};

TEST_F(MemoryRetryTest, IsWhenEnoughIsGivenBackForWhatWasRefused) {
  auto small = Serve(kGiB);
  auto large = Serve(5 * kGiB);
  EXPECT_FALSE(plan_.Take(6 * kGiB).ok());
  small.reset();
  EXPECT_EQ(retries_, 0) << "5 GiB are left";
  large.reset();
  EXPECT_EQ(retries_, 1);
  Serve(kGiB).reset();
  EXPECT_EQ(retries_, 1) << "nothing has been refused since";
}

TEST_F(MemoryRetryTest, IsForTheSmallestOfSeveral) {
  auto model = Serve(5 * kGiB);
  EXPECT_FALSE(plan_.Take(20 * kGiB).ok());
  EXPECT_FALSE(Take(plan_, kGiB, Gibibytes(6)).ok());
  model.reset();
  EXPECT_EQ(retries_, 1);
}

// Or loading would never end where two models fail, each for a reason of its own.
TEST_F(MemoryRetryTest, IsNotWhenAModelGivesBackThatDidNotServe) {
  auto serving = Serve(5 * kGiB);
  auto fails = plan_.Take(4 * kGiB);
  EXPECT_FALSE(plan_.Take(3 * kGiB).ok());
  fails->reset();
  auto short_of_memory = plan_.Take(kGiB);
  (*short_of_memory)->NoteRefused();
  short_of_memory->reset();
  EXPECT_EQ(retries_, 0);
  serving.reset();
  EXPECT_EQ(retries_, 1);
}

TEST_F(MemoryRetryTest, IsForNobodyOnceNobodyWantsToKnow) {
  auto model = Serve(5 * kGiB);
  EXPECT_FALSE(plan_.Take(6 * kGiB).ok());
  plan_.OnRoom(nullptr);
  model.reset();
  EXPECT_EQ(retries_, 0);
}

TEST(MemoryPlanTest, AbsurdNumbersAreTooMany) {
  MemoryPlan plan(std::numeric_limits<int64_t>::max(), kGiB);
  EXPECT_TRUE(Take(plan, kGiB, Demand(1024, 1 << 24)).ok()) << "no limit is known";
  MemoryPlan small(kGiB, 2 * kGiB);
  EXPECT_EQ(small.left(), 0);
  const CacheDemand absurd = {.slot_bytes = int64_t{1} << 60, .slots = 1024, .prefix_slots = 4, .max_length = 2};
  EXPECT_EQ(absurd.bytes(), std::numeric_limits<int64_t>::max());
  EXPECT_FALSE(Take(small, 0, absurd).ok());
}

TEST(BytesNameTest, HasThreeDigits) {
  EXPECT_EQ(BytesName(0), "0 bytes");
  EXPECT_EQ(BytesName(999), "999 bytes");
  EXPECT_EQ(BytesName(1000), "0.977 KiB");
  EXPECT_EQ(BytesName(1536), "1.5 KiB");
  EXPECT_EQ(BytesName(123 * kMiB), "123 MiB");
  EXPECT_EQ(BytesName(1023 * kMiB), "0.999 GiB");
  EXPECT_EQ(BytesName(int64_t{1} << 60), "1.05e+06 TiB");
}

}  // namespace
}  // namespace predictd
