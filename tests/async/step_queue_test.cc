#include "server/async/step_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "server/async/task.h"
#include "tests/fakes/step_by_step.h"

namespace predictd {
namespace {

using Outcome = StepQueue::Outcome;
using std::chrono::milliseconds;

TimePoint At(int place) {
  return TimePoint(milliseconds(place));
}

// A coroutine that waits for its turn as a call does.
class Waiter {
 public:
  Waiter(std::shared_ptr<StepQueue> queue, int place, std::string* order = nullptr, char name = '-')
      : order_(order), name_(name) {
    Detach(Run(*this, std::move(queue), At(place)));
  }
  ~Waiter() { stop_.RequestStop(StopReason::kCancelled); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  StopSource& stop() { return stop_; }
  std::optional<Outcome> outcome() const { return outcome_; }

 private:
  static Task<> Run(Waiter& self, std::shared_ptr<StepQueue> queue, TimePoint place) {
    const Outcome outcome = co_await queue->Enter(place, self.stop_);
    self.outcome_ = outcome;
    if (self.order_ != nullptr) *self.order_ += self.name_;
  }

  std::string* const order_;
  const char name_;
  StopSource stop_;
  std::optional<Outcome> outcome_;
};

class StepQueueTest : public testing::Test {
 protected:
  std::shared_ptr<StepQueue> Make(size_t capacity = 100) {
    return std::make_shared<StepQueue>(StepQueue::Options{.share = {}, .capacity = capacity}, scheduler_);
  }

  StepByStep scheduler_;
};

TEST_F(StepQueueTest, CoroutineGoesOnAsAStep) {
  const auto queue = Make();
  const Waiter waiter(queue, 1);
  EXPECT_EQ(waiter.outcome(), std::nullopt);
  EXPECT_EQ(queue->waiting(), 1);
  EXPECT_TRUE(scheduler_.Step());
  EXPECT_EQ(waiter.outcome(), Outcome::kTurn);
  EXPECT_EQ(queue->waiting(), 0);
  EXPECT_FALSE(scheduler_.Step());
}

TEST_F(StepQueueTest, EarliestPlaceGoesFirstAndEqualsAsTheyCame) {
  const auto queue = Make();
  std::string order;
  const Waiter a(queue, 2, &order, 'a');
  const Waiter b(queue, 1, &order, 'b');
  const Waiter c(queue, 2, &order, 'c');
  const Waiter d(queue, 0, &order, 'd');
  scheduler_.Finish();
  EXPECT_EQ(order, "dbac");
}

TEST_F(StepQueueTest, EachStepResumesOne) {
  const auto queue = Make();
  const Waiter first(queue, 1);
  const Waiter second(queue, 2);
  scheduler_.Step();
  EXPECT_EQ(first.outcome(), Outcome::kTurn);
  EXPECT_EQ(second.outcome(), std::nullopt);
}

TEST_F(StepQueueTest, FullQueueSaysSoAtOnceAndTakesTheNextWhenThereIsRoom) {
  const auto queue = Make(/*capacity=*/2);
  const Waiter first(queue, 1);
  const Waiter second(queue, 2);
  const Waiter refused(queue, 0);
  EXPECT_EQ(refused.outcome(), Outcome::kFull);
  scheduler_.Step();
  const Waiter third(queue, 0);
  scheduler_.Finish();
  EXPECT_EQ(third.outcome(), Outcome::kTurn);
  EXPECT_EQ(second.outcome(), Outcome::kTurn);
}

TEST_F(StepQueueTest, StoppedWaiterLeavesAtOnce) {
  const auto queue = Make();
  std::string order;
  const Waiter first(queue, 1, &order, '1');
  Waiter leaving(queue, 0, &order, 'l');
  const Waiter last(queue, 2, &order, '2');
  leaving.stop().RequestStop(StopReason::kDeadline);
  EXPECT_EQ(leaving.outcome(), Outcome::kStopped);
  EXPECT_EQ(queue->waiting(), 2);
  scheduler_.Finish();
  EXPECT_EQ(order, "l12");
}

TEST_F(StepQueueTest, StoppedWaiterMakesRoom) {
  const auto queue = Make(/*capacity=*/1);
  Waiter leaving(queue, 0);
  leaving.stop().RequestStop(StopReason::kCancelled);
  const Waiter next(queue, 0);
  scheduler_.Finish();
  EXPECT_EQ(next.outcome(), Outcome::kTurn);
}

TEST_F(StepQueueTest, WhoWasStoppedBeforeDoesNotWait) {
  const auto queue = Make();
  StopSource stop;
  stop.RequestStop(StopReason::kCancelled);
  std::optional<Outcome> outcome;
  const auto enter = [](std::shared_ptr<StepQueue> entered, StopSource& stopped,
                        std::optional<Outcome>& result) -> Task<> { result = co_await entered->Enter(At(0), stopped); };
  Detach(enter(queue, stop, outcome));
  EXPECT_EQ(outcome, Outcome::kStopped);
  EXPECT_EQ(queue->waiting(), 0);
}

TEST_F(StepQueueTest, StopAfterTheTurnIsNotTheQueues) {
  const auto queue = Make();
  Waiter waiter(queue, 0);
  scheduler_.Finish();
  waiter.stop().RequestStop(StopReason::kCancelled);
  EXPECT_EQ(waiter.outcome(), Outcome::kTurn);
}

Task<> Twice(std::shared_ptr<StepQueue> queue, StopSource& stop, std::string& log) {
  for (char part : {'a', 'b'}) {
    const Outcome outcome = co_await queue->Enter(At(0), stop);
    if (outcome == Outcome::kTurn) log += part;
  }
}

TEST_F(StepQueueTest, CoroutineMayEnterAgainFromItsStep) {
  const auto queue = Make(/*capacity=*/1);
  StopSource stop;
  std::string log;
  Detach(Twice(queue, stop, log));
  scheduler_.Step();
  EXPECT_EQ(log, "a");
  scheduler_.Finish();
  EXPECT_EQ(log, "ab");
}

TEST_F(StepQueueTest, QueueMayGoWithItsLastStep) {
  std::weak_ptr<StepQueue> gone;
  std::optional<Waiter> waiter;
  {
    auto queue = Make();
    gone = queue;
    waiter.emplace(std::move(queue), 0);
  }
  EXPECT_FALSE(gone.expired());
  scheduler_.Finish();
  EXPECT_EQ(waiter->outcome(), Outcome::kTurn);
  EXPECT_TRUE(gone.expired());
}

TEST_F(StepQueueTest, IsNeverForAnEventLoop) {
  EXPECT_FALSE(Make()->MayRunOnLoop());
  EXPECT_EQ(Make()->StepCost(), Duration::max());
}

}  // namespace
}  // namespace predictd
