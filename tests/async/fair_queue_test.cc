#include "server/async/fair_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace predictd {
namespace {

using std::chrono::milliseconds;

class NamedSource final : public WorkSource {
 public:
  explicit NamedSource(char name, Share share = {}, Duration cost = Duration::max())
      : WorkSource(share), name(name), cost_(cost) {}
  void RunStep() override {}
  Duration StepCost() const override { return cost_; }

  const char name;

 private:
  const Duration cost_;
};

char NameOf(const FairQueue::Turn& turn) {
  return static_cast<const NamedSource&>(*turn.source).name;
}

// Takes `steps` steps one by one. Each takes `took`, and its source has another one.
std::string RunAlways(FairQueue& queue, int steps, Duration took) {
  std::string names;
  for (int i = 0; i < steps; ++i) {
    const FairQueue::Turn turn = queue.Take();
    names += NameOf(turn);
    queue.Add(turn.source);
    queue.Ended(turn, took);
  }
  return names;
}

TEST(FairQueueTest, EqualsTakeTurns) {
  FairQueue queue(4);
  for (char name : {'a', 'b', 'c'}) EXPECT_TRUE(queue.Add(std::make_shared<NamedSource>(name)));
  EXPECT_EQ(RunAlways(queue, 9, milliseconds(5)), "abcabcabc");
}

TEST(FairQueueTest, SourceStandsThereOnce) {
  FairQueue queue(4);
  const auto source = std::make_shared<NamedSource>('a');
  EXPECT_TRUE(queue.Add(source));
  EXPECT_FALSE(queue.Add(source));
  queue.Take();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.Next(), nullptr);
  EXPECT_TRUE(queue.Add(source));
}

TEST(FairQueueTest, TimeIsSharedByWeight) {
  FairQueue queue(4);
  queue.Add(std::make_shared<NamedSource>('a', WorkSource::Share{.weight = 3}));
  queue.Add(std::make_shared<NamedSource>('b'));
  const std::string names = RunAlways(queue, 400, milliseconds(5));
  EXPECT_EQ(std::count(names.begin(), names.end(), 'a'), 300);
}

TEST(FairQueueTest, TimeIsSharedNotSteps) {
  FairQueue queue(4);
  queue.Add(std::make_shared<NamedSource>('a'));
  queue.Add(std::make_shared<NamedSource>('b'));
  Duration had[2] = {};
  for (int i = 0; i < 1000; ++i) {
    const FairQueue::Turn turn = queue.Take();
    const Duration took = NameOf(turn) == 'a' ? milliseconds(40) : milliseconds(2);
    had[NameOf(turn) - 'a'] += took;
    queue.Add(turn.source);
    queue.Ended(turn, took);
  }
  EXPECT_NEAR(static_cast<double>(had[0].count()) / static_cast<double>(had[1].count()), 1, 0.05);
}

TEST(FairQueueTest, IdleTimeEarnsOneTurnAndNoMore) {
  FairQueue queue(4);
  const auto rare = std::make_shared<NamedSource>('r');
  queue.Add(std::make_shared<NamedSource>('f'));
  RunAlways(queue, 100, milliseconds(10));
  queue.Add(rare);
  EXPECT_EQ(RunAlways(queue, 6, milliseconds(10)), "rfrfrf");
}

// A caller whose every request made a source would otherwise take all workers.
TEST(FairQueueTest, FloodOfNewcomersLeavesOthersTheirShare) {
  FairQueue queue(1);
  queue.Add(std::make_shared<NamedSource>('m'));
  RunAlways(queue, 10, milliseconds(1));
  for (int i = 0; i < 1000; ++i) queue.Add(std::make_shared<NamedSource>('n'));
  std::string names;
  for (int i = 0; i < 900; ++i) {
    const FairQueue::Turn turn = queue.Take();
    names += NameOf(turn);
    if (NameOf(turn) == 'm') queue.Add(turn.source);
    queue.Ended(turn, milliseconds(1));
  }
  EXPECT_NEAR(static_cast<double>(std::count(names.begin(), names.end(), 'm')), 900 / (1 + FairQueue::kNewcomersPart),
              2);
  EXPECT_EQ(names.find(std::string(10, 'n')), std::string::npos);
  queue.Clear();
}

// This is the same with a stream of newcomers: there is always one that has just come.
TEST(FairQueueTest, StreamOfNewcomersLeavesOthersTheirShare) {
  FairQueue queue(1);
  queue.Add(std::make_shared<NamedSource>('m'));
  RunAlways(queue, 10, milliseconds(1));
  std::string names;
  for (int i = 0; i < 900; ++i) {
    queue.Add(std::make_shared<NamedSource>('n'));
    const FairQueue::Turn turn = queue.Take();
    names += NameOf(turn);
    if (NameOf(turn) == 'm') queue.Add(turn.source);
    queue.Ended(turn, milliseconds(1));
  }
  EXPECT_EQ(names.find(std::string(10, 'n')), std::string::npos);
}

TEST(FairQueueTest, SourcesThatHaveGoneAreForgottenInAnyOrder) {
  FairQueue queue(4);
  std::vector<std::shared_ptr<NamedSource>> sources;
  for (char name : {'a', 'b', 'c', 'd'}) {
    // The order of turns changes with how much time each source has had.
    sources.push_back(std::make_shared<NamedSource>(name, WorkSource::Share{.max_concurrency = 1}));
    queue.Add(sources.back());
  }
  const FairQueue::Turn a = queue.Take();
  // This source may not run twice at once, so the others are taken from behind it, from the middle and the end.
  queue.Add(sources[0]);
  EXPECT_EQ(NameOf(queue.Take()), 'b');
  EXPECT_EQ(NameOf(queue.Take()), 'c');
  EXPECT_EQ(NameOf(queue.Take()), 'd');
  EXPECT_EQ(queue.Next(), nullptr);
  EXPECT_FALSE(queue.empty());
  queue.Ended(a, milliseconds(1));
  EXPECT_EQ(NameOf(queue.Take()), 'a');
  EXPECT_TRUE(queue.empty());
  queue.Add(std::make_shared<NamedSource>('e'));
  EXPECT_EQ(NameOf(queue.Take()), 'e');
}

TEST(FairQueueTest, StepsThatRunAreChargedBeforeTheyEnd) {
  FairQueue queue(4);
  const auto flood = std::make_shared<NamedSource>('f', WorkSource::Share{}, milliseconds(100));
  const auto other = std::make_shared<NamedSource>('o', WorkSource::Share{}, milliseconds(1));
  queue.Add(flood);
  const FairQueue::Turn running = queue.Take();
  queue.Add(flood);
  queue.Add(other);
  EXPECT_EQ(NameOf(queue.Take()), 'o');
  EXPECT_EQ(NameOf(queue.Take()), 'f');
  queue.Ended(running, milliseconds(100));
}

TEST(FairQueueTest, ConcurrencyIsBounded) {
  FairQueue queue(4);
  const auto source = std::make_shared<NamedSource>('a', WorkSource::Share{.max_concurrency = 1});
  queue.Add(source);
  const FairQueue::Turn running = queue.Take();
  queue.Add(source);
  EXPECT_EQ(queue.Next(), nullptr);
  EXPECT_FALSE(queue.empty());
  const auto other = std::make_shared<NamedSource>('b');
  queue.Add(other);
  EXPECT_EQ(queue.Next(), other.get());
  queue.Take();
  queue.Ended(running, milliseconds(1));
  EXPECT_EQ(queue.Next(), source.get());
}

TEST(FairQueueTest, StepOfSeveralWorkersWaitsForThemAndOthersWaitWithIt) {
  FairQueue queue(2);
  const auto wide = std::make_shared<NamedSource>('w', WorkSource::Share{.workers_per_step = 2}, milliseconds(10));
  const auto narrow = std::make_shared<NamedSource>('n', WorkSource::Share{}, milliseconds(10));
  queue.Add(narrow);
  const FairQueue::Turn first = queue.Take();
  queue.Add(wide);
  queue.Add(narrow);
  EXPECT_EQ(queue.Next(), wide.get());
  EXPECT_EQ(queue.NextForWorker(), nullptr);
  queue.Ended(first, milliseconds(10));
  EXPECT_EQ(queue.NextForWorker(), wide.get());
  const FairQueue::Turn second = queue.Take();
  EXPECT_EQ(queue.Next(), narrow.get());
  EXPECT_EQ(queue.NextForWorker(), nullptr);
  queue.Ended(second, milliseconds(10));
  EXPECT_EQ(queue.NextForWorker(), narrow.get());
}

TEST(FairQueueTest, StepOfSeveralWorkersCountsForEachOfThem) {
  FairQueue queue(2);
  queue.Add(std::make_shared<NamedSource>('w', WorkSource::Share{.workers_per_step = 2}));
  queue.Add(std::make_shared<NamedSource>('n'));
  EXPECT_EQ(RunAlways(queue, 9, milliseconds(5)), "wnnwnnwnn");
}

TEST(FairQueueTest, PartIsByWeightAmongThoseThatWantSome) {
  FairQueue queue(4);
  const auto a = std::make_shared<NamedSource>('a', WorkSource::Share{.weight = 3});
  const auto b = std::make_shared<NamedSource>('b');
  EXPECT_EQ(queue.PartOf(*a), 1);
  queue.Add(b);
  EXPECT_EQ(queue.PartOf(*b), 1);
  EXPECT_EQ(queue.PartOf(*a), 0.75);
  queue.Add(a);
  EXPECT_EQ(queue.PartOf(*a), 0.75);
  EXPECT_EQ(queue.PartOf(*b), 0.25);
  const FairQueue::Turn running = queue.Take();
  EXPECT_EQ(NameOf(running), 'b');
  EXPECT_EQ(queue.PartOf(*a), 0.75);
  queue.Ended(running, milliseconds(1));
  EXPECT_EQ(queue.PartOf(*a), 1);
  queue.Clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.PartOf(*b), 1);
}

}  // namespace
}  // namespace predictd
