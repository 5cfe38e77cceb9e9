#include "server/telemetry/log_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

// What is left, in order, and which levels it had.
std::string Drain(LogQueue& queue) {
  std::string text;
  while (auto entry = queue.Pop()) text += entry->line + " ";
  return text;
}

uint64_t Left(const std::array<uint64_t, kLogLevels>& left, LogLevel level) {
  return left[static_cast<size_t>(level)];
}

TEST(LogQueueTest, LinesOfAllLevelsComeInOrder) {
  LogQueue queue(10, 1000);
  queue.Push(LogLevel::kInfo, "a");
  queue.Push(LogLevel::kError, "b");
  queue.Push(LogLevel::kDebug, "c");
  queue.Push(LogLevel::kInfo, "d");
  EXPECT_FALSE(queue.empty());
  EXPECT_EQ(Drain(queue), "a b c d ");
  EXPECT_TRUE(queue.empty());
}

TEST(LogQueueTest, TheOldestOfTheLeastImportantLeave) {
  LogQueue queue(3, 1000);
  queue.Push(LogLevel::kError, "e1");
  queue.Push(LogLevel::kInfo, "i1");
  queue.Push(LogLevel::kInfo, "i2");
  EXPECT_EQ(Left(queue.Push(LogLevel::kInfo, "i3"), LogLevel::kInfo), 1U);
  EXPECT_EQ(Left(queue.Push(LogLevel::kWarning, "w1"), LogLevel::kInfo), 1U);
  EXPECT_EQ(Drain(queue), "e1 i3 w1 ");
}

TEST(LogQueueTest, AFloodOfInfosNeverCostsAnError) {
  LogQueue queue(100, 1 << 20);
  queue.Push(LogLevel::kError, "error");
  for (int i = 0; i < 10'000; ++i) queue.Push(LogLevel::kInfo, "info");
  EXPECT_EQ(Drain(queue).substr(0, 11), "error info ");
}

TEST(LogQueueTest, AmongMoreImportantOnesTheNewcomerLeaves) {
  LogQueue queue(2, 1000);
  queue.Push(LogLevel::kError, "e1");
  queue.Push(LogLevel::kError, "e2");
  EXPECT_EQ(Left(queue.Push(LogLevel::kInfo, "i"), LogLevel::kInfo), 1U);
  EXPECT_EQ(Left(queue.Push(LogLevel::kError, "e3"), LogLevel::kError), 1U);
  EXPECT_EQ(Drain(queue), "e2 e3 ");
}

TEST(LogQueueTest, BytesAreBoundedToo) {
  LogQueue queue(1000, 100);
  for (int i = 0; i < 10; ++i) queue.Push(LogLevel::kInfo, std::string(30, 'x'));
  EXPECT_EQ(Drain(queue).size(), 3 * 31U);
  // One that fits alone into nothing leaves, and the queue goes on.
  EXPECT_EQ(Left(queue.Push(LogLevel::kInfo, std::string(101, 'x')), LogLevel::kInfo), 1U);
  queue.Push(LogLevel::kInfo, "a");
  EXPECT_EQ(Drain(queue), "a ");
}

}  // namespace
}  // namespace predictd
