#include "server/async/send_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <string>
#include <utility>
#include <vector>

#include "server/async/async_event.h"

namespace predictd {
namespace {

using testing::ElementsAre;

using Queue = SendQueue<std::string>;

// A channel that takes a message when the test says so.
class Channel {
 public:
  Task<bool> Send(const std::string& message, bool more_follows) {
    offered.push_back(message);
    hints.push_back(more_follows);
    co_await taken_.Wait();
    if (throws) throw std::bad_alloc();
    co_return !broken;
  }
  void Take() { taken_.Set(); }

  std::vector<std::string> offered;
  std::vector<bool> hints;
  bool broken = false;
  bool throws = false;

 private:
  AsyncEvent taken_;
};

class SendQueueTest : public testing::Test {
 protected:
  explicit SendQueueTest(SendWindow window = {.bytes = 10, .messages = 2})
      : queue_(window, [this](const std::string& message, bool more) { return channel_.Send(message, more); }) {}
  ~SendQueueTest() override {
    // Whatever is left is taken.
    queue_.Abort();
    channel_.Take();
    if (!closed_) Close();
  }

  void Write(std::string message) { Detach(WriteOne(queue_, std::move(message), accepted_, refused_)); }
  void Close() { Detach(CloseIt(queue_, closed_, failed_)); }

  Channel channel_;
  Queue queue_;
  // The messages whose writers went on.
  std::vector<std::string> accepted_;
  std::vector<std::string> refused_;
  bool closed_ = false;
  bool failed_ = false;

 private:
  static Task<> WriteOne(Queue& queue, std::string message, std::vector<std::string>& accepted,
                         std::vector<std::string>& refused) {
    const auto bytes = static_cast<int64_t>(message.size());
    Queue::Writing writing = queue.Write(message, bytes);
    const bool taken = co_await writing;
    (taken ? accepted : refused).push_back(message);
  }
  static Task<> CloseIt(Queue& queue, bool& closed, bool& failed) {
    try {
      TaskGroup::Joining closing = queue.Close();
      co_await closing;
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    closed = true;
  }
};

TEST_F(SendQueueTest, SendsOneMessageAtATimeInOrder) {
  Write("a");
  Write("b");
  EXPECT_THAT(accepted_, ElementsAre("a", "b"));
  EXPECT_THAT(channel_.offered, ElementsAre("a"));
  channel_.Take();
  EXPECT_THAT(channel_.offered, ElementsAre("a", "b"));
}

TEST_F(SendQueueTest, HoldsBackWritersBeyondItsMessages) {
  for (const char* message : {"a", "b", "c", "d"}) Write(message);
  EXPECT_THAT(accepted_, ElementsAre("a", "b"));
  channel_.Take();
  EXPECT_THAT(accepted_, ElementsAre("a", "b", "c"));
  channel_.Take();
  EXPECT_THAT(accepted_, ElementsAre("a", "b", "c", "d"));
}

TEST_F(SendQueueTest, HoldsBackWritersBeyondItsBytes) {
  Write("123456");
  Write("12345");
  EXPECT_THAT(accepted_, ElementsAre("123456"));
  channel_.Take();
  EXPECT_THAT(accepted_, ElementsAre("123456", "12345"));
}

TEST_F(SendQueueTest, NobodyOvertakesWhoWaits) {
  Write("123456");
  Write("12345");
  Write("1");
  EXPECT_THAT(accepted_, ElementsAre("123456"));
  channel_.Take();
  EXPECT_THAT(accepted_, ElementsAre("123456", "12345", "1"));
  channel_.Take();
  EXPECT_THAT(channel_.offered, ElementsAre("123456", "12345", "1"));
}

TEST_F(SendQueueTest, AMessageLargerThanTheWindowGoesAlone) {
  Write("a");
  Write("12345678901");
  Write("b");
  EXPECT_THAT(accepted_, ElementsAre("a"));
  channel_.Take();
  EXPECT_THAT(accepted_, ElementsAre("a", "12345678901"));
  channel_.Take();
  EXPECT_THAT(accepted_, ElementsAre("a", "12345678901", "b"));
}

TEST_F(SendQueueTest, TellsTheChannelWhetherMoreFollows) {
  Write("a");
  Write("b");
  channel_.Take();
  channel_.Take();
  Write("c");
  EXPECT_THAT(channel_.hints, ElementsAre(false, false, false));
  Write("d");
  Write("e");
  channel_.Take();
  EXPECT_THAT(channel_.hints, ElementsAre(false, false, false, true));
  channel_.Take();
  EXPECT_THAT(channel_.hints, ElementsAre(false, false, false, true, false));
}

TEST_F(SendQueueTest, ABrokenChannelRefusesAllWriters) {
  for (const char* message : {"a", "b", "c", "d"}) Write(message);
  channel_.broken = true;
  channel_.Take();
  EXPECT_THAT(refused_, ElementsAre("c", "d"));
  Write("e");
  EXPECT_THAT(refused_, ElementsAre("c", "d", "e"));
  EXPECT_THAT(channel_.offered, ElementsAre("a"));
  Close();
  EXPECT_TRUE(closed_);
}

TEST_F(SendQueueTest, AbortRefusesAllWritersAndDropsWhatWaits) {
  for (const char* message : {"a", "b", "c"}) Write(message);
  queue_.Abort();
  EXPECT_THAT(refused_, ElementsAre("c"));
  Close();
  EXPECT_FALSE(closed_) << "the channel still has a message";
  channel_.Take();
  EXPECT_TRUE(closed_);
  EXPECT_THAT(channel_.offered, ElementsAre("a"));
}

TEST_F(SendQueueTest, CloseWaitsUntilEverythingIsSent) {
  Write("a");
  Write("b");
  Close();
  channel_.Take();
  EXPECT_FALSE(closed_);
  channel_.Take();
  EXPECT_TRUE(closed_);
  EXPECT_THAT(channel_.offered, ElementsAre("a", "b"));
}

TEST_F(SendQueueTest, CloseReturnsAtOnceIfNothingWaits) {
  Close();
  EXPECT_TRUE(closed_);
}

TEST_F(SendQueueTest, CloseThrowsWhatTheChannelHasThrown) {
  for (const char* message : {"a", "b", "c"}) Write(message);
  channel_.throws = true;
  channel_.Take();
  EXPECT_THAT(refused_, ElementsAre("c"));
  Close();
  EXPECT_TRUE(closed_);
  EXPECT_TRUE(failed_);
}

}  // namespace
}  // namespace predictd
