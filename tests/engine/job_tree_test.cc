#include "server/engine/job_tree.h"

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <memory>
#include <random>

#include "server/engine/job.h"

namespace predictd {
namespace {

// The tree against a sorted map, for thousands of random changes.
TEST(JobTreeTest, AgreesWithASortedMap) {
  std::mt19937 random(7);
  JobTree tree;
  std::map<JobOrder, std::unique_ptr<Job>> model;
  for (uint64_t step = 0; step < 20'000; ++step) {
    // Grows to about a hundred, then shrinks, again and again.
    const bool growing = step / 200 % 2 == 0;
    if (model.empty() || (random() % 3 != 0) == growing) {
      InferenceRequest request;
      request.rows = random() % 5;
      auto job = std::make_unique<Job>(std::move(request));
      job->queued.order = {TimePoint(Duration(random() % 50)), step};
      tree.Insert(*job);
      model[job->queued.order] = std::move(job);
    } else {
      const auto victim = std::next(model.begin(), random() % model.size());
      tree.Erase(*victim->second);
      model.erase(victim);
    }
    ASSERT_EQ(tree.size(), model.size());
    ASSERT_EQ(tree.first(), model.empty() ? nullptr : model.begin()->second.get());
    const JobOrder at = {TimePoint(Duration(random() % 50)), random() % (step + 1)};
    int64_t all = 0;
    int64_t before = 0;
    for (const auto& [order, job] : model) {
      all += job->request.rows;
      if (order < at) before += job->request.rows;
    }
    ASSERT_EQ(tree.rows(), all);
    ASSERT_EQ(tree.RowsBefore(at), before);
  }
}

TEST(JobTreeTest, StaysShallowForSortedInput) {
  // Recursion as deep as the tree: a list of a million would overflow the stack.
  constexpr size_t kJobs = 1'000'000;
  const auto jobs = std::make_unique<std::unique_ptr<Job>[]>(kJobs);
  JobTree tree;
  for (size_t i = 0; i < kJobs; ++i) {
    jobs[i] = std::make_unique<Job>(InferenceRequest{});
    jobs[i]->queued.order = {TimePoint(Duration(i)), i};
    tree.Insert(*jobs[i]);
  }
  EXPECT_EQ(tree.rows(), kJobs);
  for (size_t i = 0; i < kJobs; ++i) {
    ASSERT_EQ(tree.first(), jobs[i].get());
    tree.Erase(*jobs[i]);
  }
  EXPECT_TRUE(tree.empty());
}

}  // namespace
}  // namespace predictd
