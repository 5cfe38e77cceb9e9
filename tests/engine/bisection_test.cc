#include "server/engine/bisection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

namespace predictd {
namespace {

constexpr TimePoint kNow = TimePoint() + std::chrono::seconds(1);
// For a batch of 64: three searches of at most seven runs each, and then each job alone.
constexpr size_t kMostRuns = 64 + 21;

// A batch, and the results of its jobs. No coroutine awaits them.
class Batch {
 public:
  explicit Batch(size_t size) : Batch(std::vector<TimePoint>(size, kNever)) {}
  explicit Batch(const std::vector<TimePoint>& deadlines) {
    for (const TimePoint deadline : deadlines) {
      InferenceRequest request;
      request.deadline = deadline;
      jobs.push_back(std::make_shared<Job>(std::move(request)));
    }
  }

  // Runs everything. A run fails if it has a member for which `guilty` is true. Returns the number of runs.
  template <class Guilty>
  size_t Run(const Guilty& guilty, const absl::Status& status = absl::InternalError("bad")) {
    Bisection batch(jobs);
    size_t runs = 0;
    while (!batch.empty()) {
      const absl::Span<const std::shared_ptr<Job>> part = batch.Next(kNow);
      if (part.empty()) continue;
      ++runs;
      bool fails = false;
      for (const auto& job : part) {
        EXPECT_FALSE(job->ended());
        fails = fails || guilty(IndexOf(*job), part.size());
      }
      if (fails) {
        batch.OnFailed(status);
      } else {
        for (const auto& job : part) job->Complete(InferenceResult{});
        batch.OnWorked();
      }
    }
    for (const auto& job : jobs) EXPECT_TRUE(job->ended());
    return runs;
  }

  absl::Status StatusOf(size_t index) { return jobs[index]->TakeResult().status(); }

  std::vector<std::shared_ptr<Job>> jobs;

 private:
  size_t IndexOf(const Job& job) const {
    size_t index = 0;
    while (jobs[index].get() != &job) ++index;
    return index;
  }
};

TEST(BisectionTest, WhatWorksRunsOnce) {
  EXPECT_EQ(Batch(64).Run([](size_t, size_t) { return false; }), 1U);
}

TEST(BisectionTest, OneThatIsToBlameIsFoundInLog2) {
  for (const size_t size : {2, 3, 7, 63, 64, 65, 1024}) {
    for (size_t bad = 0; bad < size; bad += 1 + size / 20) {
      Batch batch(size);
      const size_t runs = batch.Run([bad](size_t index, size_t) { return index == bad; });
      EXPECT_LE(runs, 3 + std::ceil(std::log2(size))) << bad << " of " << size;
      for (size_t i = 0; i < size; ++i) EXPECT_EQ(batch.StatusOf(i).ok(), i != bad) << i << " of " << size;
    }
  }
}

TEST(BisectionTest, RunsAreBoundedWhoeverIsToBlame) {
  constexpr size_t kSize = 64;
  for (const size_t guilty : {2, 3, 4, 8, 32, 63, 64}) {
    for (size_t first = 0; first < kSize; ++first) {
      Batch batch(kSize);
      // Spread by a step that reaches every index.
      std::vector<bool> bad(kSize);
      for (size_t i = 0; i < guilty; ++i) bad[(first + i * 23) % kSize] = true;
      const size_t runs = batch.Run([&bad](size_t index, size_t) { return bad[index]; });
      EXPECT_LE(runs, kMostRuns) << guilty;
      EXPECT_TRUE(guilty > 3 || runs <= 24) << guilty << " in " << runs;
      for (size_t i = 0; i < kSize; ++i) EXPECT_EQ(batch.StatusOf(i).ok(), !bad[i]) << i;
    }
  }
}

TEST(BisectionTest, ABatchOfWhichEveryMemberWorksAloneIsBoundedToo) {
  Batch batch(64);
  EXPECT_LE(batch.Run([](size_t, size_t together) { return together > 1; }), kMostRuns);
  for (size_t i = 0; i < 64; ++i) EXPECT_TRUE(batch.StatusOf(i).ok());
}

TEST(BisectionTest, WithoutMemoryTheOthersEndAfterTheLastSearch) {
  Batch batch(64);
  const absl::Status status = absl::ResourceExhaustedError("no memory");
  EXPECT_LE(batch.Run([](size_t, size_t) { return true; }, status), kMostRuns - 64);
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(batch.StatusOf(i), status);
}

TEST(BisectionTest, OneThatWantsTooMuchMemoryDoesNotFailItsBatchMates) {
  Batch batch(64);
  batch.Run([](size_t index, size_t) { return index == 7; }, absl::ResourceExhaustedError("no memory"));
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(batch.StatusOf(i).ok(), i != 7) << i;
}

TEST(BisectionTest, WhoHasEndedOrIsLateIsNotRunAgain) {
  Batch jobs({kNow + Duration(1), kNever, kNever, kNever});
  Bisection batch(jobs.jobs);
  EXPECT_EQ(batch.Next(kNow).size(), 4U);
  batch.OnFailed(absl::InternalError("bad"));
  jobs.jobs[1]->Complete(absl::CancelledError());
  const absl::Span<const std::shared_ptr<Job>> part = batch.Next(kNow + Duration(1));
  EXPECT_EQ(jobs.StatusOf(0).code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_EQ(part.size(), 1U);
  EXPECT_EQ(part[0], jobs.jobs[2]);
  EXPECT_EQ(batch.size(), 2U);
}

TEST(BisectionTest, WithoutAnybodyLeftThereIsNoRun) {
  Batch jobs(2);
  Bisection batch(jobs.jobs);
  for (const auto& job : jobs.jobs) job->Complete(absl::CancelledError());
  EXPECT_TRUE(batch.Next(kNow).empty());
  EXPECT_TRUE(batch.empty());
}

TEST(BisectionTest, RowsThatRunNextAreThoseOfThePart) {
  Bisection batch(Batch(8).jobs);
  EXPECT_EQ(batch.NextRows(), 8);
  batch.Next(kNow);
  batch.OnFailed(absl::InternalError("bad"));
  EXPECT_EQ(batch.NextRows(), 4);
}

}  // namespace
}  // namespace predictd
