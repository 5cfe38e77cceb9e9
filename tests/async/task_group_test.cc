#include "server/async/task_group.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "server/async/async_event.h"

namespace predictd {
namespace {

Task<> WaitFor(AsyncEvent& event, int& ended) {
  co_await event.Wait();
  ++ended;
}

Task<> Fail(AsyncEvent& event, std::string why) {
  co_await event.Wait();
  throw std::runtime_error(why);
}

// Holds what it was given until its frame is freed.
Task<> Keep(AsyncEvent& event, std::shared_ptr<int> /*kept*/) {
  co_await event.Wait();
}

Task<> JoinAll(TaskGroup& group, bool& joined) {
  TaskGroup::Joining joining = group.Join();
  co_await joining;
  joined = true;
}

Task<> JoinAndCatch(TaskGroup& group, std::string& caught) {
  try {
    TaskGroup::Joining joining = group.Join();
    co_await joining;
    caught = "nothing";
  } catch (const std::exception& error) {
    caught = error.what();
  }
}

Task<> JoinAndCount(TaskGroup& group, const std::shared_ptr<int>& kept, long& uses) {
  TaskGroup::Joining joining = group.Join();
  co_await joining;
  uses = kept.use_count();
}

Task<> JoinAndDestroy(std::unique_ptr<TaskGroup>& group) {
  TaskGroup::Joining joining = group->Join();
  co_await joining;
  group.reset();
}

Task<> StartAtMost(TaskGroup& group, int most, std::vector<AsyncEvent>& events, int& started, int& ended) {
  for (AsyncEvent& event : events) {
    TaskGroup::Wait fewer = group.FewerThan(most);
    co_await fewer;
    ++started;
    group.Start(WaitFor(event, ended));
  }
}

TEST(TaskGroupTest, RunsTasksBesideEachOtherAndJoinsTheLast) {
  TaskGroup group;
  AsyncEvent first;
  AsyncEvent second;
  int ended = 0;
  bool joined = false;
  group.Start(WaitFor(first, ended));
  group.Start(WaitFor(second, ended));
  Detach(JoinAll(group, joined));
  EXPECT_FALSE(joined);
  second.Set();
  EXPECT_EQ(ended, 1);
  EXPECT_FALSE(joined);
  first.Set();
  EXPECT_EQ(ended, 2);
  EXPECT_TRUE(joined);
}

TEST(TaskGroupTest, JoinReturnsAtOnceIfNothingRuns) {
  TaskGroup group;
  bool joined = false;
  Detach(JoinAll(group, joined));
  EXPECT_TRUE(joined);
}

TEST(TaskGroupTest, JoinsTasksThatNeverWait) {
  TaskGroup group;
  AsyncEvent set;
  int ended = 0;
  for (int i = 0; i < 100; ++i) {
    set.Set();
    group.Start(WaitFor(set, ended));
  }
  bool joined = false;
  Detach(JoinAll(group, joined));
  EXPECT_TRUE(joined);
  EXPECT_EQ(ended, 100);
}

TEST(TaskGroupTest, WhoWaitsForFewerGoesOnWhenThereAre) {
  TaskGroup group;
  std::vector<AsyncEvent> events(5);
  int started = 0;
  int ended = 0;
  Detach(StartAtMost(group, 2, events, started, ended));
  EXPECT_EQ(started, 2);
  events[1].Set();
  EXPECT_EQ(started, 3);
  events[0].Set();
  EXPECT_EQ(started, 4);
  events[3].Set();
  EXPECT_EQ(started, 5);
  events[2].Set();
  events[4].Set();
  EXPECT_EQ(ended, 5);
}

TEST(TaskGroupTest, JoinThrowsTheFirstExceptionOnceAllHaveEnded) {
  TaskGroup group;
  AsyncEvent first;
  AsyncEvent second;
  AsyncEvent third;
  int ended = 0;
  std::string caught;
  group.Start(Fail(first, "first"));
  group.Start(Fail(second, "second"));
  group.Start(WaitFor(third, ended));
  Detach(JoinAndCatch(group, caught));
  second.Set();
  first.Set();
  EXPECT_EQ(caught, "");
  third.Set();
  EXPECT_EQ(caught, "second");
}

TEST(TaskGroupTest, ReportsAnExceptionOnce) {
  TaskGroup group;
  AsyncEvent event;
  std::string caught;
  group.Start(Fail(event, "an error"));
  event.Set();
  Detach(JoinAndCatch(group, caught));
  EXPECT_EQ(caught, "an error");
  Detach(JoinAndCatch(group, caught));
  EXPECT_EQ(caught, "nothing");
}

TEST(TaskGroupTest, ATasksFrameIsFreedBeforeItsEndIsKnown) {
  TaskGroup group;
  AsyncEvent event;
  const auto kept = std::make_shared<int>();
  long uses_at_the_end = 0;
  group.Start(Keep(event, kept));
  EXPECT_EQ(kept.use_count(), 2);
  Detach(JoinAndCount(group, kept, uses_at_the_end));
  event.Set();
  EXPECT_EQ(uses_at_the_end, 1);
}

// The coroutine that owns the group may end as soon as it has joined.
TEST(TaskGroupTest, MayBeDestroyedByWhoJoins) {
  auto group = std::make_unique<TaskGroup>();
  AsyncEvent event;
  int ended = 0;
  group->Start(WaitFor(event, ended));
  Detach(JoinAndDestroy(group));
  event.Set();
  EXPECT_EQ(group, nullptr);
}

}  // namespace
}  // namespace predictd
