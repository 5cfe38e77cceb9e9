#include "server/async/reaper.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace predictd {
namespace {

// Notes in what order things end, and where. Whoever waits for the end of a reaper helps it: two threads may write.
struct Log {
  std::mutex mutex;
  std::vector<int> ended;
  std::thread::id thread;
};

class Object : public std::enable_shared_from_this<Object> {
 public:
  Object(Log& log, int number) : log_(log), number_(number) {}
  ~Object() {
    const std::lock_guard lock(log_.mutex);
    log_.ended.push_back(number_);
    log_.thread = std::this_thread::get_id();
  }

  std::shared_ptr<Object> inner;

 private:
  Log& log_;
  const int number_;
};

TEST(ReaperTest, DestroysOnAThreadOfItsOwnAndWhatWasHeldAfterwards) {
  Log log;
  Reaper reaper;
  std::shared_ptr<Object> object = reaper.Own(std::make_unique<Object>(log, 1), std::make_shared<Object>(log, 2));
  std::shared_ptr<Object> again = object->shared_from_this();
  object = nullptr;
  reaper.Finish();
  EXPECT_TRUE(log.ended.empty()) << "there is another reference";
  again = nullptr;
  reaper.Finish();
  EXPECT_EQ(log.ended, (std::vector<int>{1, 2}));
  EXPECT_NE(log.thread, std::this_thread::get_id());
}

TEST(ReaperTest, ObjectThatOwnsAnotherOneTakesItAlong) {
  Log log;
  {
    Reaper reaper;
    auto outer = std::make_unique<Object>(log, 1);
    outer->inner = reaper.Own(std::make_unique<Object>(log, 2));
    (void)reaper.Own(std::move(outer));
  }
  EXPECT_EQ(log.ended, (std::vector<int>{1, 2})) << "before the reaper is gone";
}

TEST(ReaperTest, FinishWaitsForWhatIsBeingDestroyed) {
  Log log;
  Reaper reaper;
  reaper.Finish();
  for (int n = 1; n <= 100; ++n) {
    auto outer = std::make_unique<Object>(log, n);
    outer->inner = reaper.Own(std::make_unique<Object>(log, n));
    (void)reaper.Own(std::move(outer));
    reaper.Finish();
    ASSERT_EQ(log.ended.size(), static_cast<size_t>(2 * n));
  }
}

TEST(ReaperTest, ManyThreadsMayDropAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kObjects = 1000;
  Log log;
  {
    Reaper reaper;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < kObjects; ++n) (void)reaper.Own(std::make_unique<Object>(log, n));
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(log.ended.size(), static_cast<size_t>(kThreads * kObjects));
}

TEST(ReaperTest, GivesWayToThreadsThatSomebodyWaitsFor) {
  struct Niced {
    explicit Niced(std::promise<int>& niceness) : niceness(niceness) {}
    ~Niced() { niceness.set_value(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()))); }
    std::promise<int>& niceness;
  };
  std::promise<int> niceness;
  Reaper reaper;
  (void)reaper.Own(std::make_unique<Niced>(niceness));
  EXPECT_GE(niceness.get_future().get(), 10);
}

}  // namespace
}  // namespace predictd
