#include "server/engine/job_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "server/engine/job.h"

namespace predictd {
namespace {

// Compares the tree with a sorted map over thousands of random changes.
TEST(JobTreeTest, AgreesWithASortedMap) {
  std::mt19937 random(7);
  JobTree tree(JobTreeKind::kGroup);
  std::map<JobOrder, std::unique_ptr<Job>> model;
  for (uint64_t step = 0; step < 20'000; ++step) {
    // Grows to about a hundred jobs, then shrinks, again and again.
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

// The height of the tree, which is the most jobs that RowsBefore ever looks at.
size_t Height(const Job* tree, JobTreeKind kind) {
  if (tree == nullptr) return 0;
  const JobTree::Links& links = tree->queued.links[static_cast<size_t>(kind)];
  return 1 + std::max(Height(links.left, kind), Height(links.right, kind));
}

TEST(JobTreeTest, SearchesLookAtFewJobs) {
  constexpr size_t kJobs = 10'000;
  std::vector<std::unique_ptr<Job>> jobs;
  JobTree tree(JobTreeKind::kQueue);
  for (size_t i = 0; i < kJobs; ++i) {
    jobs.push_back(std::make_unique<Job>(InferenceRequest{}));
    jobs.back()->queued.order = {TimePoint(Duration(i)), i};
    tree.Insert(*jobs.back());
  }
  EXPECT_LT(Height(tree.root(), JobTreeKind::kQueue), 50U);
}

TEST(JobTreeTest, AJobMayBeInATreeOfEachKind) {
  std::vector<std::unique_ptr<Job>> jobs;
  JobTree group(JobTreeKind::kGroup);
  JobTree queue(JobTreeKind::kQueue);
  for (uint64_t i = 0; i < 100; ++i) {
    jobs.push_back(std::make_unique<Job>(InferenceRequest{}));
    jobs.back()->queued.order = {TimePoint(), i};
    group.Insert(*jobs.back());
  }
  group.CopyTo(queue);
  EXPECT_EQ(queue.rows(), 100);
  for (size_t i = 0; i < 50; ++i) group.Erase(*jobs[i]);
  EXPECT_EQ(group.rows(), 50);
  EXPECT_EQ(queue.rows(), 100);
  EXPECT_EQ(queue.first(), jobs[0].get());
  EXPECT_EQ(group.first(), jobs[50].get());
}

TEST(JobTreeTest, StaysShallowForSortedInput) {
  // Recursion is as deep as the tree: a list of a million jobs would overflow the stack.
  constexpr size_t kJobs = 1'000'000;
  const auto jobs = std::make_unique<std::unique_ptr<Job>[]>(kJobs);
  JobTree tree(JobTreeKind::kGroup);
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
