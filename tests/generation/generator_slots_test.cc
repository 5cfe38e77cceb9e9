// Slots whose copies fail, and the memory of slots that nobody uses.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

using Slots = std::vector<std::pair<int64_t, int64_t>>;

const absl::Status kNoMemory = absl::ResourceExhaustedError("no memory to copy");

// A prompt that is long enough to be kept.
const std::string kLong(40, 'c');

// An answer is moved into the slot of another one, and the copy fails.
TEST_F(GeneratorTest, WhoseSlotCannotBeCopiedEndsAndSpoilsNothing) {
  Make({.slots = 2, .prefix_slots = 2});
  // This one ends first, so the other is to be moved into slot 0.
  const auto first = Start(Greedy("a", 3));
  const auto moved = Start(Greedy(kLong, 30));
  record_.copying = [](int64_t from, int64_t to) { return from == 1 && to == 0 ? kNoMemory : absl::OkStatus(); };
  scheduler_.Finish();
  EXPECT_EQ(first->text(), Expected("a", 3));
  EXPECT_EQ(moved->status(), kNoMemory);
  EXPECT_EQ(counts_.slots, 0);

  record_.copying = [](int64_t, int64_t) { return absl::OkStatus(); };
  const auto again = Start(Greedy(kLong, 30));
  scheduler_.Finish();
  EXPECT_EQ(again->text(), Expected(kLong, 30)) << "what lay in the slot of another was kept as its own";
}

TEST_F(GeneratorTest, NobodyReusesTheSlotOfWhoCouldNotBeMoved) {
  Make({.slots = 2, .prefix_slots = 0});
  const auto first = Start(Greedy("a", 3));
  const auto moved = Start(Greedy(kLong, 30));
  // This one waits for a slot, and finds the one that is about to be dropped.
  const auto waiting = Start(Greedy(kLong, 5));
  record_.copying = [](int64_t from, int64_t to) { return from == 1 && to == 0 ? kNoMemory : absl::OkStatus(); };
  scheduler_.Finish();
  EXPECT_EQ(moved->status(), kNoMemory);
  EXPECT_EQ(waiting->text(), Expected(kLong, 5));
}

TEST_F(GeneratorTest, OfThoseBehindAnEndedAnswerOneThatCanBeCopiedTakesItsSlot) {
  Make({.slots = 4, .prefix_slots = 0});
  const auto first = Start(Greedy("a", 4));
  const auto second = Start(Greedy("b", 30));
  const auto third = Start(Greedy("c", 30));
  int copies = 0;
  record_.copying = [&copies](int64_t, int64_t) { return ++copies == 1 ? kNoMemory : absl::OkStatus(); };
  scheduler_.Finish();
  EXPECT_EQ(first->text(), Expected("a", 4));
  EXPECT_EQ(third->status(), kNoMemory);
  EXPECT_EQ(second->text(), Expected("b", 30));
}

TEST_F(GeneratorTest, PrefixThatCannotBeKeptIsNotFound) {
  for (const bool throws : {false, true}) {
    Make({.slots = 1, .prefix_slots = 1});
    record_.copying = [throws](int64_t, int64_t to) -> absl::Status {
      if (throws && to == 1) throw std::runtime_error("a model that does not keep its word");
      return to == 1 ? kNoMemory : absl::OkStatus();
    };
    const auto lost = Start(Greedy(kLong, 30));
    scheduler_.Finish();
    EXPECT_EQ(lost->text(), Expected(kLong, 30));
    record_.copying = [](int64_t, int64_t) { return absl::OkStatus(); };
    const auto next = Start(Greedy(kLong, 30));
    scheduler_.Finish();
    EXPECT_EQ(next->text(), Expected(kLong, 30));
    EXPECT_EQ(counts_.reused, 0);
  }
}

TEST_F(GeneratorTest, PrefixThatCannotBeFetchedEndsItsAnswerOnly) {
  Make({.slots = 1, .prefix_slots = 1});
  const auto kept = Start(Greedy(kLong, 10));
  scheduler_.Finish();
  record_.copying = [](int64_t from, int64_t) { return from == 1 ? kNoMemory : absl::OkStatus(); };
  const auto failed = Start(Greedy(kLong + "x", 10));
  scheduler_.Finish();
  EXPECT_EQ(failed->status(), kNoMemory);
  record_.copying = [](int64_t, int64_t) { return absl::OkStatus(); };
  const auto next = Start(Greedy(kLong + "x", 10));
  scheduler_.Finish();
  EXPECT_EQ(next->text(), Expected(kLong + "x", 10));
}

class SlotReleaseTest : public GeneratorTest {
 protected:
  void Generate(int answers) {
    std::vector<std::unique_ptr<Reader>> readers;
    for (int i = 0; i < answers; ++i) readers.push_back(Start(Greedy("a", 3)));
    scheduler_.Finish();
    for (const auto& reader : readers) EXPECT_EQ(reader->text(), Expected("a", 3));
  }
};

TEST_F(SlotReleaseTest, SlotsThatAreUsedNowAndThenStay) {
  Make({.slots = 4});
  for (int i = 0; i < 5; ++i) {
    Generate(4);
    clock_.Advance(UnusedSlots::kKeep / 2);
  }
  EXPECT_EQ(record_.released, Slots{});
}

TEST_F(SlotReleaseTest, SlotsThatFewerCallersDoNotUseAreReleased) {
  Make({.slots = 4});
  Generate(4);
  clock_.Advance(UnusedSlots::kKeep);
  Generate(1);
  EXPECT_EQ(record_.released, Slots{});
  clock_.Advance(UnusedSlots::kKeep);
  Generate(1);
  EXPECT_EQ(record_.released, (Slots{{1, 3}}));
}

// This happens even without requests, because the generator asks for a step.
TEST_F(SlotReleaseTest, IdleGeneratorReleasesAllSlotsOfAnswers) {
  Make({.slots = 4});
  const TimePoint begin = clock_.Now();
  Generate(3);
  Generate(1);
  EXPECT_EQ(scheduler_.later(), std::vector<TimePoint>{begin + UnusedSlots::kKeep}) << "one step is enough";
  clock_.Advance(UnusedSlots::kKeep);
  generator_->RunStep();
  EXPECT_EQ(record_.released, Slots{});
  EXPECT_EQ(scheduler_.later().back(), begin + 2 * UnusedSlots::kKeep);
  clock_.Advance(UnusedSlots::kKeep);
  generator_->RunStep();
  EXPECT_EQ(record_.released, (Slots{{0, 3}}));
  EXPECT_EQ(scheduler_.later().size(), 2) << "nothing is left to release";
  Generate(2);
}

TEST_F(SlotReleaseTest, SlotOfAPromptBehindAGapStays) {
  Make({.slots = 4});
  const auto first = Start(Greedy("a", 2));
  const auto second = Start(Greedy("b", 2));
  record_.before = [this](const FakeGeneratorModel::Step&) {
    clock_.Advance(UnusedSlots::kKeep);
    return absl::OkStatus();
  };
  const std::string prompt(380, 'd');
  const auto third = Start(Greedy(prompt, 3));
  scheduler_.Finish();
  EXPECT_EQ(third->text(), Expected(prompt, 3));
}

}  // namespace
}  // namespace predictd
