#include "server/engine/quarantine.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/engine/runner_test.h"

namespace predictd {
namespace {

constexpr uint64_t kHonest = 1;
constexpr uint64_t kCulprit = 2;
constexpr uint64_t kStranger = 3;

TEST(QuarantineUnitTest, WithoutAFailureThereIsNoAlarm) {
  const Quarantine quarantine;
  EXPECT_FALSE(quarantine.alarm(TimePoint()));
}

TEST(QuarantineUnitTest, TheAlarmEndsAWhileAfterTheLastFailure) {
  Quarantine quarantine;
  quarantine.OnGuilty(kCulprit, TimePoint());
  EXPECT_TRUE(quarantine.alarm(TimePoint() + Quarantine::kAlarm - Duration(1)));
  EXPECT_FALSE(quarantine.alarm(TimePoint() + Quarantine::kAlarm));
}

TEST(QuarantineUnitTest, DuringAnAlarmTrustTakesOneSuccess) {
  Quarantine quarantine;
  quarantine.OnGuilty(kCulprit, TimePoint());
  EXPECT_TRUE(quarantine.KeepsApart(kStranger));
  quarantine.OnInnocent(kStranger);
  EXPECT_FALSE(quarantine.KeepsApart(kStranger));
}

TEST(QuarantineUnitTest, AFailureTakesManySuccessesToMakeUpFor) {
  Quarantine quarantine;
  quarantine.OnGuilty(kCulprit, TimePoint());
  for (int i = 0; i < Quarantine::kSuccessesForFailure; ++i) {
    quarantine.OnInnocent(kCulprit);
    EXPECT_TRUE(quarantine.KeepsApart(kCulprit)) << i;
  }
  quarantine.OnInnocent(kCulprit);
  EXPECT_FALSE(quarantine.KeepsApart(kCulprit));
}

// Many callers may share a connection, as behind a proxy.
TEST(QuarantineUnitTest, WhoSeldomFailsKeepsItsTrust) {
  Quarantine quarantine;
  quarantine.OnGuilty(kStranger, TimePoint());
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 64; ++i) quarantine.OnInnocent(kHonest);
    quarantine.OnGuilty(kHonest, TimePoint());
    EXPECT_FALSE(quarantine.KeepsApart(kHonest));
  }
}

TEST(QuarantineUnitTest, WhatHappenedInAnEarlierAlarmIsForgotten) {
  Quarantine quarantine;
  quarantine.OnGuilty(kCulprit, TimePoint());
  quarantine.OnInnocent(kHonest);
  quarantine.OnGuilty(kStranger, TimePoint() + Quarantine::kAlarm);
  EXPECT_TRUE(quarantine.KeepsApart(kHonest));
  quarantine.OnInnocent(kCulprit);
  EXPECT_FALSE(quarantine.KeepsApart(kCulprit));
}

TEST(QuarantineUnitTest, RemembersABoundedNumberOfCallers) {
  Quarantine quarantine;
  quarantine.OnGuilty(kCulprit, TimePoint());
  for (uint64_t caller = 10; caller < 10 + Quarantine::kCallers; ++caller) quarantine.OnInnocent(caller);
  EXPECT_TRUE(quarantine.KeepsApart(10)) << "it was forgotten with the others";
  EXPECT_FALSE(quarantine.KeepsApart(10 + Quarantine::kCallers - 1));
}

// Requests of several callers for a model that fails on negative elements. Its runs take no time.
class QuarantineTest : public RunnerTest {
 protected:
  QuarantineTest() : RunnerTest(FailOnNegative) {}

  std::unique_ptr<PendingInference> Call(uint64_t caller, float value) {
    return std::make_unique<PendingInference>(*runner_, OneRow(value), Admission::kIfRoom, caller);
  }

  // Leaves an alarm in which the honest caller is trusted.
  void RaiseAlarm() {
    const auto occupant = OccupyWorker(*runner_);
    const auto good = Call(kHonest, 1);
    const auto bad = Call(kCulprit, -1);
    model_.Release();
    EXPECT_FALSE(bad->Await().ok());
    EXPECT_TRUE(good->Await().ok());
    EXPECT_TRUE(Call(kHonest, 1)->Await().ok());
  }

  const std::shared_ptr<ModelRunner> runner_ = MakeRunner();
};

TEST_F(QuarantineTest, WhoIsTrustedSharesNoBatchWithWhoIsNot) {
  RaiseAlarm();
  const size_t before = model_.batch_rows().size();
  const auto occupant = std::make_unique<PendingInference>(*runner_, OneRow(0), Admission::kIfRoom, kHonest);
  EXPECT_TRUE(occupant->Await().ok());
  model_.Block();
  const auto blocked = Call(kHonest, 1);
  model_.AwaitRuns(before + 2);
  const auto bad = Call(kCulprit, -1);
  const auto good = Call(kHonest, 2);
  const auto also_good = Call(kHonest, 3);
  model_.Release();
  EXPECT_TRUE(good->Await().ok());
  EXPECT_TRUE(also_good->Await().ok());
  EXPECT_EQ(good->Await()->timings.batch_rows, 2);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(bad->Await().ok());
  const std::vector<int64_t> rows = model_.batch_rows();
  EXPECT_EQ(rows.size(), before + 4) << "nothing ran twice";
}

TEST_F(QuarantineTest, WhoIsNotTrustedIsAnsweredWhenNobodyElseWantsTheModel) {
  RaiseAlarm();
  clock_.Advance(std::chrono::seconds(1));
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(Call(kCulprit, -1)->Await().ok());
    EXPECT_TRUE(Call(kStranger, 1)->Await().ok());
  }
}

TEST_F(QuarantineTest, WhoFailsWithoutMakingOthersFailRaisesNoAlarm) {
  EXPECT_FALSE(Call(kCulprit, -1)->Await().ok());
  const auto occupant = OccupyWorker(*runner_);
  const auto one = Call(kCulprit, 1);
  const auto other = Call(kHonest, 2);
  model_.Release();
  EXPECT_EQ(one->Await()->timings.batch_rows, 2);
}

// A model whose runs take a millisecond.
class RestTest : public RunnerTest {
 protected:
  RestTest()
      : RunnerTest([this](absl::Span<const Tensor> inputs) {
          clock_.Advance(std::chrono::milliseconds(1));
          return FailOnNegative(inputs);
        }) {}
};

TEST_F(RestTest, BatchesThatAreKeptApartRestWhileOthersUseTheModel) {
  const auto runner = MakeRunner();
  const auto call = [&](uint64_t caller, float value) {
    return std::make_unique<PendingInference>(*runner, OneRow(value), Admission::kIfRoom, caller);
  };
  {
    const auto occupant = OccupyWorker(*runner);
    const auto good = call(kHonest, 1);
    const auto bad = call(kCulprit, -1);
    model_.Release();
    EXPECT_FALSE(bad->Await().ok());
  }
  int honest = 0;
  int culprit = 0;
  std::unique_ptr<PendingInference> bad = call(kCulprit, -1);
  const TimePoint end = clock_.Now() + std::chrono::milliseconds(200);
  while (clock_.Now() < end) {
    const auto good = call(kHonest, 1);
    EXPECT_TRUE(good->Await().ok());
    ++honest;
    if (!bad->ended()) continue;
    ++culprit;
    bad = call(kCulprit, -1);
  }
  EXPECT_GE(honest, 150);
  EXPECT_GE(culprit, 20) << "it has its part, too";
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_FALSE(bad->Await().ok());
}

}  // namespace
}  // namespace predictd
