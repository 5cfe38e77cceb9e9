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
  // In milliseconds; 0: none.
  int deadline = 0;
  // Extent of the second dimension: only jobs of equal width share a batch.
  int64_t width = 1;
  int64_t priority = kDefaultPriority;
};

// A queue of named jobs.
class Queue {
 public:
  explicit Queue(const std::vector<Waiting>& waiting, const JobQueue::Options& options = JobQueue::Options())
      : queue(options) {
    for (const Waiting& w : waiting) Push(w);
  }

  void Push(const Waiting& w, int now = 0) {
    InferenceRequest request;
    request.rows = w.rows;
    request.deadline = w.deadline == 0 ? kNever : At(w.deadline);
    request.inputs.push_back(Floats({w.rows, w.width}, std::vector<float>(w.rows * w.width)));
    request.priority = w.priority;
    jobs_.push_back(std::make_shared<Job>(std::move(request)));
    names_ += w.name;
    queue.Push(jobs_.back(), {w.width}, /*bytes=*/w.rows * w.width, At(now));
  }

  Job& job(char name) { return *jobs_[names_.find(name)]; }

  // Takes a batch: "abc", or "abc -d" if d has expired, or "abc ?d" if d is hopeless.
  std::string Take(int now, int shortest_run = 0, int64_t most_rows = 1'000) {
    const JobQueue::Taken taken =
        queue.Take(At(now), {.shortest_run = std::chrono::milliseconds(shortest_run), .most_rows = most_rows});
    std::string text;
    for (const auto& job : taken.batch) text += Name(*job);
    if (!taken.expired.empty()) text += " -";
    for (const auto& job : taken.expired) text += Name(*job);
    if (!taken.hopeless.empty()) text += " ?";
    for (const auto& job : taken.hopeless) text += Name(*job);
    return text;
  }

  JobQueue queue;

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
  // The results of repeated Takes until the queue is empty.
  std::vector<std::string> taken;
};

std::ostream& operator<<(std::ostream& out, const TakeCase& c) {
  return out << c.what;
}

class JobQueuePolicy : public testing::TestWithParam<TakeCase> {};

TEST_P(JobQueuePolicy, TakesWhatTheTableSays) {
  Queue queue(GetParam().waiting, {.max_rows = GetParam().max_rows});
  std::vector<std::string> taken;
  while (queue.queue.size() > 0) taken.push_back(queue.Take(GetParam().now));
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
    {"a batch is made of all that fit to the first",
     {{'a', 1, 0, 5}, {'b', 1, 0, 6}, {'c', 1, 0, 5}},
     0,
     64,
     {"ac", "b"}},
    {"the group with the earliest deadline goes first",
     {{'a', 1, 30, 5}, {'b', 1, 20, 6}, {'c', 1, 40, 5}, {'d', 1, 50, 6}},
     0,
     64,
     {"bd", "ac"}},
    {"the urgent go first whatever their deadlines",
     {{'a', 1, 10, 1, 0}, {'b', 1, 500, 1, 4}, {'c', 1, 20, 1, 2}, {'d', 1, 400, 1, 4}},
     0,
     1,
     {"d", "b", "c", "a"}},
    {"expired ones are set apart", {{'a', 1, 10}, {'b', 1, 20}, {'c', 1, 30}}, 20, 64, {"c -ab"}},
    {"a deadline that is now has passed", {{'a', 1, 10}}, 10, 64, {" -a"}},
    {"a deadline just ahead has not", {{'a', 1, 11}}, 10, 64, {"a"}},
    {"all expired: no batch", {{'a', 1, 1}, {'b', 1, 2}}, 100, 64, {" -ab"}},
    {"expired ones do not count as rows", {{'a', 8, 1}, {'b', 8}}, 5, 8, {"b -a"}},
    {"jobs without rows fit anywhere", {{'a', 8}, {'b', 0}, {'c', 1}}, 0, 8, {"ab", "c"}},
};

INSTANTIATE_TEST_SUITE_P(Table, JobQueuePolicy, testing::ValuesIn(kTakeCases));

TEST(JobQueueTest, HasRoomForItsCapacity) {
  Queue queue({}, {.capacity = 2, .max_rows = 1});
  for (char name : {'a', 'b'}) {
    EXPECT_TRUE(queue.queue.HasRoom(1));
    queue.Push({name});
  }
  EXPECT_FALSE(queue.queue.HasRoom(1));
  queue.Take(0);
  EXPECT_TRUE(queue.queue.HasRoom(1));
}

TEST(JobQueueTest, HasRoomForItsBytes) {
  Queue queue({}, {.capacity_bytes = 10});
  EXPECT_TRUE(queue.queue.HasRoom(11));  // Alone it may be larger.
  queue.Push({'a', 6});
  EXPECT_EQ(queue.queue.bytes(), 6);
  EXPECT_TRUE(queue.queue.HasRoom(4));
  EXPECT_FALSE(queue.queue.HasRoom(5));
  queue.queue.Remove(queue.job('a'));
  EXPECT_EQ(queue.queue.bytes(), 0);
}

TEST(JobQueueTest, NotesWhenAJobCame) {
  Queue queue(std::vector<Waiting>{});
  queue.Push({'a'}, 7);
  EXPECT_EQ(queue.job('a').queued.at, At(7));
}

TEST(JobQueueTest, TheLeastUrgentIsNotOvertakenForever) {
  Queue queue({{'a', 1, 0, 1, 0}}, {.max_rows = 1});
  // More urgent requests that arrive later go first, until the wait is worth more than the levels between them.
  constexpr Duration kWait = kPatience + kMaxPriority * kPriorityLevel;
  constexpr int kWorth = std::chrono::duration_cast<std::chrono::milliseconds>(kWait).count();
  for (int now = 0; now < kWorth; now += 1000) {
    queue.Push({'u', 1, now + 999, 1, kMaxPriority}, now);
    ASSERT_EQ(queue.Take(now), "u") << now;
  }
  queue.Push({'u', 1, kWorth + 1000, 1, kMaxPriority}, kWorth);
  EXPECT_EQ(queue.Take(kWorth), "a");
}

TEST(JobQueueTest, OneThatCannotBeRunInTimeIsSetApart) {
  Queue queue({{'a', 1, 10}, {'b', 1, 14}, {'c', 1, 16}});
  EXPECT_EQ(queue.Take(10, /*shortest_run=*/5), "c -a ?b");
}

TEST(JobQueueTest, RowsAheadAreThoseThatWouldRunBefore) {
  const Queue queue({{'a', 1, 10}, {'b', 2, 20, 7}, {'c', 4, 30}, {'d', 8, 10, 1, 0}, {'e', 16, 90, 1, 4}});
  InferenceRequest request;
  request.deadline = At(25);
  EXPECT_EQ(queue.queue.RowsAhead(request, At(0)), 1 + 2 + 16);
  request.deadline = At(30);  // It arrived after its equal.
  EXPECT_EQ(queue.queue.RowsAhead(request, At(0)), 1 + 2 + 4 + 16);
  request.priority = 0;
  EXPECT_EQ(queue.queue.RowsAhead(request, At(0)), 1 + 2 + 4 + 8 + 16);
  request.priority = kMaxPriority;
  EXPECT_EQ(queue.queue.RowsAhead(request, At(0)), 0);
}

TEST(JobQueueTest, SmallBatchWaitsForItsDelay) {
  Queue queue(std::vector<Waiting>{}, {.max_rows = 4, .max_delay = std::chrono::milliseconds(10)});
  EXPECT_EQ(queue.queue.Take(At(0), {}).look_again, kNever);
  queue.Push({'a'}, 5);
  const JobQueue::Taken taken = queue.queue.Take(At(6), {});
  EXPECT_TRUE(taken.batch.empty());
  EXPECT_EQ(taken.look_again, At(15));
  queue.Push({'b'}, 7);
  EXPECT_EQ(queue.Take(14), "");
  EXPECT_EQ(queue.Take(15), "ab");
}

TEST(JobQueueTest, FullBatchDoesNotWait) {
  Queue queue({{'a'}, {'b', 2}, {'c'}, {'d'}}, {.max_rows = 4, .max_delay = std::chrono::milliseconds(10)});
  EXPECT_EQ(queue.Take(0), "abc");
  EXPECT_EQ(queue.Take(0), "");
}

TEST(JobQueueTest, BatchWaitsForHalfOfWhatItsDeadlineLeaves) {
  Queue queue({{'a', 1, 8}}, {.max_rows = 4, .max_delay = std::chrono::milliseconds(10)});
  EXPECT_EQ(queue.Take(3), "");
  EXPECT_EQ(queue.Take(4), "a");
}

TEST(JobQueueTest, PreferredSizesDoNotWait) {
  Queue queue({{'a'}}, {.max_rows = 8, .max_delay = std::chrono::milliseconds(10), .preferred_rows = {2, 4}});
  EXPECT_EQ(queue.Take(0), "");
  queue.Push({'b'});
  queue.Push({'c'});
  EXPECT_EQ(queue.Take(0), "ab");
  EXPECT_EQ(queue.Take(0), "");
  for (char name : {'d', 'e', 'f', 'g'}) queue.Push({name});
  EXPECT_EQ(queue.Take(0), "cdef");
  EXPECT_EQ(queue.Take(10), "g");
}

TEST(JobQueueTest, ManyGroupsComeAndGo) {
  Queue queue({}, {.capacity = 10'000});
  for (int round = 0; round < 3; ++round) {
    for (int width = 1; width <= 100; ++width) {
      queue.Push({'x', 1, 0, width});
      queue.Push({'y', 1, 0, width});
    }
    for (int width = 1; width <= 100; ++width) EXPECT_EQ(queue.queue.Take(At(0), {}).batch.size(), 2U);
    EXPECT_EQ(queue.queue.size(), 0U);
    EXPECT_EQ(queue.queue.bytes(), 0);
  }
}

// Any caller can create a group for each of its requests.
TEST(JobQueueTest, RowsAheadAreExactWhateverTheNumberOfGroups) {
  constexpr int kGroups = 10'000;
  Queue queue({}, {.capacity = kGroups});
  for (int width = 1; width <= kGroups; ++width) queue.Push({'x', 2, /*deadline=*/width, width});
  for (int deadline : {1, 2, 17, 5'000, kGroups}) {
    InferenceRequest request;
    request.deadline = At(deadline);
    EXPECT_EQ(queue.queue.RowsAhead(request, At(0)), 2 * deadline) << deadline;
  }
  for (int taken = 1; taken <= kGroups / 2; ++taken) queue.queue.Take(At(0), {});
  InferenceRequest last;
  EXPECT_EQ(queue.queue.RowsAhead(last, At(0)), kGroups);
}

TEST(JobQueueTest, RowsOfTheNextBatchAreThoseOfTheFirstGroup) {
  Queue queue({{'a', 3, 10, 7}, {'b', 2, 20, 7}, {'c', 4, 15, 8}}, {.max_rows = 8});
  EXPECT_EQ(queue.queue.NextRows(), 5);
  queue.Push({'d', 5, 30, 7});
  EXPECT_EQ(queue.queue.NextRows(), 8);
  queue.queue.Take(At(0), {});
  queue.queue.Take(At(0), {});
  queue.queue.Take(At(0), {});
  EXPECT_EQ(queue.queue.NextRows(), 0);
}

TEST(JobQueueTest, QueueThatGoesLetsItsJobsGo) {
  std::weak_ptr<Job> waiting;
  {
    JobQueue queue({});
    const auto job = std::make_shared<Job>(InferenceRequest{});
    waiting = job;
    queue.Push(job, {}, 0, At(0));
  }
  EXPECT_TRUE(waiting.expired());
}

TEST(JobQueueTest, RemovedJobIsNotTaken) {
  Queue queue({{'a'}, {'b'}, {'c'}, {'d'}});
  EXPECT_TRUE(queue.queue.Remove(queue.job('c')));
  EXPECT_TRUE(queue.queue.Remove(queue.job('a')));
  EXPECT_EQ(queue.queue.size(), 2U);
  EXPECT_EQ(queue.Take(0), "bd");
}

TEST(JobQueueTest, RemovingWhatIsNotInTheQueueSaysSo) {
  Queue queue(std::vector<Waiting>{{'a'}, {'b'}});
  EXPECT_TRUE(queue.queue.Remove(queue.job('a')));
  EXPECT_FALSE(queue.queue.Remove(queue.job('a')));
  EXPECT_EQ(queue.Take(0), "b");
  EXPECT_FALSE(queue.queue.Remove(queue.job('b')));
  Job never_queued(InferenceRequest{});
  EXPECT_FALSE(queue.queue.Remove(never_queued));
}

TEST(JobQueueTest, BatchHasNoMoreRowsThanPay) {
  Queue queue({{'a'}, {'b'}, {'c'}, {'d', 5}, {'e'}}, {.max_rows = 8});
  EXPECT_EQ(queue.Take(0, 0, /*most_rows=*/2), "ab");
  EXPECT_EQ(queue.Take(0, 0, 2), "c");
  EXPECT_EQ(queue.Take(0, 0, 2), "d") << "a single job may have more";
  EXPECT_EQ(queue.Take(0, 0, 2), "e");
}

TEST(JobQueueTest, LaterJobWithAnEarlierDeadlineOvertakes) {
  Queue queue({{'a'}, {'b', 1, 50}}, {.max_rows = 1});
  queue.Push({'c', 1, 20});
  EXPECT_EQ(queue.Take(0), "c");
  queue.Push({'d', 1, 40});
  EXPECT_EQ(queue.Take(0), "d");
  EXPECT_EQ(queue.Take(0), "b");
  EXPECT_EQ(queue.Take(0), "a");
}

TEST(JobQueueTest, LimitedRowsBoundBatchesAndPreferredSizes) {
  Queue queue({{'a'}, {'b'}, {'c'}, {'d'}, {'e'}},
              {.max_rows = 8, .max_delay = std::chrono::milliseconds(10), .preferred_rows = {4}});
  queue.queue.LimitRows(2);
  EXPECT_EQ(queue.queue.NextRows(), 2);
  queue.queue.LimitRows(100);
  EXPECT_EQ(queue.queue.options().max_rows, 2);
  EXPECT_EQ(queue.Take(0), "ab");
  EXPECT_EQ(queue.Take(0), "cd");
}

}  // namespace
}  // namespace predictd
