#include "server/engine/job_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

constexpr TimePoint At(int ms) {
  return TimePoint(std::chrono::milliseconds(ms));
}

struct Waiting {
  char name;
  int64_t rows = 1;
  // Milliseconds; 0: none.
  int deadline = 0;
  // Extent of the second dimension: only equal ones share a batch.
  int64_t width = 1;
};

// A queue of named jobs.
class Queue {
 public:
  explicit Queue(const std::vector<Waiting>& waiting) {
    for (const Waiting& w : waiting) Push(w);
  }

  void Push(const Waiting& w) {
    InferenceRequest request;
    request.rows = w.rows;
    request.deadline = w.deadline == 0 ? kNever : At(w.deadline);
    request.inputs.push_back(Floats({w.rows, w.width}, std::vector<float>(w.rows * w.width)));
    jobs_.push_back(std::make_shared<Job>(std::move(request)));
    names_ += w.name;
    queue.Push(jobs_.back(), TimePoint());
  }

  Job& job(char name) { return *jobs_[names_.find(name)]; }

  // "abc", or "abc -d" if d has expired.
  std::string Take(int now, int64_t max_rows) {
    const JobQueue::Taken taken = queue.Take(At(now), max_rows);
    std::string text;
    for (const auto& job : taken.batch) text += Name(*job);
    if (!taken.expired.empty()) text += " -";
    for (const auto& job : taken.expired) text += Name(*job);
    return text;
  }

  JobQueue queue{100};

 private:
  char Name(const Job& job) const {
    for (size_t i = 0; i < jobs_.size(); ++i) {
      if (jobs_[i].get() == &job) return names_[i];
    }
    return '?';
  }

  std::vector<std::shared_ptr<Job>> jobs_;
  std::string names_;
};

struct TakeCase {
  const char* what;
  std::vector<Waiting> waiting;
  int now = 0;
  int64_t max_rows = 64;
  // What repeated Takes give, until the queue is empty.
  std::vector<std::string> taken;
};

std::ostream& operator<<(std::ostream& out, const TakeCase& c) {
  return out << c.what;
}

class JobQueuePolicy : public testing::TestWithParam<TakeCase> {};

TEST_P(JobQueuePolicy, TakesWhatTheTableSays) {
  Queue queue(GetParam().waiting);
  std::vector<std::string> taken;
  while (queue.queue.size() > 0) taken.push_back(queue.Take(GetParam().now, GetParam().max_rows));
  EXPECT_EQ(taken, GetParam().taken);
}

const TakeCase kTakeCases[] = {
    {"without deadlines: first come first served", {{'a'}, {'b'}, {'c'}}, 0, 64, {"abc"}},
    {"earliest deadline first", {{'a', 1, 30}, {'b', 1, 10}, {'c', 1, 20}}, 0, 64, {"bca"}},
    {"those without a deadline last", {{'a'}, {'b', 1, 10}, {'c'}, {'d', 1, 5}}, 0, 64, {"dbac"}},
    {"equal deadlines: first come first served", {{'a', 1, 10}, {'b', 1, 10}, {'c', 1, 10}}, 0, 64, {"abc"}},
    {"rows are bounded", {{'a', 3}, {'b', 3}, {'c', 3}}, 0, 8, {"ab", "c"}},
    {"rows may fill the batch exactly", {{'a', 4}, {'b', 4}, {'c', 1}}, 0, 8, {"ab", "c"}},
    {"no job overtakes one that does not fit", {{'a', 3}, {'b', 7}, {'c', 1}}, 0, 8, {"a", "bc"}},
    {"a single job may be larger than a batch", {{'a', 20}, {'b', 1}}, 0, 8, {"a", "b"}},
    {"a larger one does not join others", {{'a', 1}, {'b', 20}, {'c', 1}}, 0, 8, {"a", "b", "c"}},
    {"max 1 row: one by one", {{'a'}, {'b'}}, 0, 1, {"a", "b"}},
    {"only equal shapes run together",
     {{'a', 1, 0, 5}, {'b', 1, 0, 5}, {'c', 1, 0, 6}, {'d', 1, 0, 6}},
     0,
     64,
     {"ab", "cd"}},
    {"a different shape ends the batch", {{'a', 1, 0, 5}, {'b', 1, 0, 6}, {'c', 1, 0, 5}}, 0, 64, {"a", "b", "c"}},
    {"expired ones are set apart", {{'a', 1, 10}, {'b', 1, 20}, {'c', 1, 30}}, 20, 64, {"c -ab"}},
    {"a deadline that is now has passed", {{'a', 1, 10}}, 10, 64, {" -a"}},
    {"a deadline just ahead has not", {{'a', 1, 11}}, 10, 64, {"a"}},
    {"all expired: no batch", {{'a', 1, 1}, {'b', 1, 2}}, 100, 64, {" -ab"}},
    {"expired ones do not count as rows", {{'a', 8, 1}, {'b', 8}}, 5, 8, {"b -a"}},
    {"jobs without rows fit anywhere", {{'a', 8}, {'b', 0}, {'c', 1}}, 0, 8, {"ab", "c"}},
};

INSTANTIATE_TEST_SUITE_P(Table, JobQueuePolicy, testing::ValuesIn(kTakeCases));

TEST(JobQueueTest, IsFullAtItsCapacity) {
  JobQueue queue(2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(queue.full());
    queue.Push(std::make_shared<Job>(InferenceRequest{}), TimePoint());
  }
  EXPECT_TRUE(queue.full());
  queue.Take(TimePoint(), 1);
  EXPECT_FALSE(queue.full());
}

TEST(JobQueueTest, NotesWhenAJobCame) {
  JobQueue queue(2);
  const auto job = std::make_shared<Job>(InferenceRequest{});
  queue.Push(job, At(7));
  EXPECT_EQ(job->enqueued, At(7));
}

TEST(JobQueueTest, RemovedJobIsNotTaken) {
  Queue queue({{'a'}, {'b'}, {'c'}, {'d'}});
  EXPECT_TRUE(queue.queue.Remove(queue.job('c')));
  EXPECT_TRUE(queue.queue.Remove(queue.job('a')));
  EXPECT_EQ(queue.queue.size(), 2U);
  EXPECT_EQ(queue.Take(0, 64), "bd");
}

TEST(JobQueueTest, RemovingWhatIsNotInTheQueueSaysSo) {
  Queue queue({{'a'}, {'b'}});
  EXPECT_TRUE(queue.queue.Remove(queue.job('a')));
  EXPECT_FALSE(queue.queue.Remove(queue.job('a')));
  EXPECT_EQ(queue.Take(0, 64), "b");
  EXPECT_FALSE(queue.queue.Remove(queue.job('b')));
  Job never_queued(InferenceRequest{});
  EXPECT_FALSE(queue.queue.Remove(never_queued));
}

TEST(JobQueueTest, LaterJobWithAnEarlierDeadlineOvertakes) {
  Queue queue({{'a'}, {'b', 1, 50}});
  queue.Push({'c', 1, 20});
  EXPECT_EQ(queue.Take(0, 1), "c");
  queue.Push({'d', 1, 40});
  EXPECT_EQ(queue.Take(0, 64), "dba");
}

}  // namespace
}  // namespace predictd
