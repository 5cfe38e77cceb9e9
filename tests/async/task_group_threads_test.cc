#include <gtest/gtest.h>

#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "server/async/async_event.h"
#include "server/async/task_group.h"

namespace predictd {
namespace {

constexpr int kThreads = 4;

// `ended` is plain memory, so that ThreadSanitizer, too, would report a join that is too early.
Task<> EndOnAThread(AsyncEvent& event, int& ended) {
  co_await event.Wait();
  ++ended;
}

Task<> JoinThenSignal(TaskGroup& group, std::vector<int>& ended, int& sum, std::latch& joined) {
  TaskGroup::Joining joining = group.Join();
  co_await joining;
  for (const int one : ended) sum += one;
  joined.count_down();
}

TEST(TaskGroupThreadsTest, JoinSeesTheEndOfTasksOnAllThreads) {
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    auto group = std::make_unique<TaskGroup>();
    std::vector<AsyncEvent> events(kThreads);
    std::vector<int> ended(kThreads);
    for (int i = 0; i < kThreads; ++i) group->Start(EndOnAThread(events[i], ended[i]));
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([&events, i] { events[i].Set(); });
    int sum = 0;
    std::latch joined(1);
    Detach(JoinThenSignal(*group, ended, sum, joined));
    joined.wait();
    group.reset();
    ASSERT_EQ(sum, kThreads) << "round " << round;
  }
}

}  // namespace
}  // namespace predictd
