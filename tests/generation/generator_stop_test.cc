// Callers that leave: in the queue, in the prompt, in the answer.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>

#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

const absl::Status kGone = absl::CancelledError("gone");

TEST_F(GeneratorTest, WhoLeavesTheQueueIsNeverComputed) {
  Make({.slots = 1});
  const auto running = Start(Greedy("a", 5));
  const auto waiting = Start(Greedy("b", 5));
  scheduler_.Step();
  generator_->Stop(waiting->request(), kGone);
  EXPECT_EQ(waiting->status(), kGone);
  EXPECT_EQ(counts_.waiting, 0);
  scheduler_.Finish();
  EXPECT_EQ(running->text(), Expected("a", 5));
  EXPECT_TRUE(waiting->tokens().empty());
  EXPECT_EQ(counts_.prefilled, 1);
}

TEST_F(GeneratorTest, WhoLeavesDuringThePromptFreesTheSlotBeforeTheNextStep) {
  Make({.slots = 1});
  const auto leaving = Start(Greedy(std::string(300, 'a'), 5));
  const auto next = Start(Greedy("b", 5));
  scheduler_.Step();
  EXPECT_TRUE(leaving->tokens().empty());
  generator_->Stop(leaving->request(), kGone);
  EXPECT_EQ(leaving->status(), kGone);
  scheduler_.Step();
  EXPECT_EQ(next->tokens().size(), 1);
  EXPECT_LT(counts_.prefilled, 300);
  scheduler_.Finish();
  EXPECT_EQ(next->text(), Expected("b", 5));
}

TEST_F(GeneratorTest, WhoLeavesDuringTheAnswerFreesTheSlotBeforeTheNextStep) {
  Make({.slots = 2});
  const auto leaving = Start(Greedy("a", 50));
  const auto staying = Start(Greedy("b", 50));
  const auto waiting = Start(Greedy("c", 50));
  for (int i = 0; i < 10; ++i) scheduler_.Step();
  const size_t tokens = leaving->tokens().size();
  EXPECT_TRUE(waiting->tokens().empty());
  generator_->Stop(leaving->request(), kGone);
  scheduler_.Step();
  EXPECT_EQ(leaving->tokens().size(), tokens);
  EXPECT_EQ(waiting->tokens().size(), 1);
  EXPECT_EQ(record_.steps.back().rows, 1);
  scheduler_.Finish();
  EXPECT_EQ(staying->text(), Expected("b", 50));
  EXPECT_EQ(waiting->text(), Expected("c", 50));
}

TEST_F(GeneratorTest, StopAfterTheEndIsHarmless) {
  Make();
  const auto reader = Start(Greedy("a", 2));
  scheduler_.Finish();
  EXPECT_TRUE(reader->ended());
  generator_->Stop(reader->request(), kGone);
  EXPECT_TRUE(reader->status().ok());
  EXPECT_FALSE(scheduler_.Step());
}

TEST_F(GeneratorTest, TenThousandWhoLeaveLeaveNothingBehind) {
  Make({.slots = 4});
  std::mt19937 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const auto leaving = Start(Greedy(std::string(1 + random() % 60, static_cast<char>('a' + random() % 26)), 50));
    for (unsigned step = random() % 6; step > 0; --step) scheduler_.Step();
    generator_->Stop(leaving->request(), kGone);
    ASSERT_EQ(leaving->status(), kGone);
  }
  scheduler_.Finish();
  EXPECT_EQ(counts_.slots, 0);
  EXPECT_EQ(counts_.waiting, 0);
  const auto last = Start(Greedy("hello", 12));
  scheduler_.Finish();
  EXPECT_EQ(last->text(), Expected("hello", 12));
}

// Everything at random, and every answer that ends is the one that the model gives alone.
TEST_F(GeneratorTest, RandomComingAndGoingMixesNothingUp) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    record_ = {};
    Make({.max_length = 300,
          .slots = 1 + static_cast<int64_t>(random() % 8),
          .prefix_slots = static_cast<int64_t>(random() % 4)});
    struct Sent {
      std::string prompt;
      int64_t max_tokens;
      std::unique_ptr<Reader> reader;
      bool left = false;
    };
    std::vector<Sent> all;
    for (int i = 0; i < 400; ++i) {
      const auto what = random() % 10;
      if (what < 3) {
        // Some begin like an earlier one.
        std::string prompt = !all.empty() && random() % 2 == 0 ? all[random() % all.size()].prompt.substr(0, 150) : "";
        for (unsigned more = 1 + random() % 60; more > 0; --more) prompt += static_cast<char>('a' + random() % 26);
        const auto max_tokens = static_cast<int64_t>(1 + random() % 60);
        all.push_back({prompt, max_tokens, Start(Greedy(prompt, max_tokens))});
      } else if (what == 3 && !all.empty()) {
        Sent& leaving = all[random() % all.size()];
        leaving.left = leaving.left || !leaving.reader->ended();
        generator_->Stop(leaving.reader->request(), kGone);
      } else {
        scheduler_.Step();
      }
    }
    scheduler_.Finish();
    for (const Sent& sent : all) {
      ASSERT_TRUE(sent.reader->ended());
      const std::string expected = Expected(sent.prompt, sent.max_tokens);
      if (sent.left) {
        EXPECT_EQ(expected.substr(0, sent.reader->text().size()), sent.reader->text()) << "seed " << seed;
      } else {
        EXPECT_EQ(sent.reader->text(), expected) << "seed " << seed;
      }
    }
    EXPECT_EQ(counts_.slots, 0);
    EXPECT_EQ(counts_.waiting, 0);
  }
}

// Real workers, and callers on threads of their own.
TEST_F(GeneratorTest, ComesAndGoesOnManyThreads) {
  GeneratorConfig config = {.vocabulary_size = kLetters, .max_length = 400, .slots = 4};
  auto model =
      std::make_unique<FakeGeneratorModel>(kLetters, config.slots + config.prefix_slots, config.max_length, record_);
  WorkerPool pool({.workers = 2});
  const auto generator = std::make_shared<Generator>(std::move(model), std::make_shared<LetterTokenizer>(kLetters),
                                                     nullptr, Generator::Options{.config = config}, pool, clock_);
  std::atomic<int> answered{0};
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      std::mt19937 random(static_cast<uint32_t>(caller));
      for (int i = 0; i < 100; ++i) {
        const std::string prompt(1 + random() % 50, static_cast<char>('a' + random() % 26));
        absl::StatusOr<Generator::Request> request = generator->Start(Greedy(prompt, 20));
        ASSERT_TRUE(request.ok());
        if (random() % 2 == 0) {
          if (random() % 2 == 0) std::this_thread::yield();
          generator->Stop(*request, kGone);
          continue;
        }
        while (request->answers().timings().generated_tokens < 20) std::this_thread::yield();
        ++answered;
      }
    });
  }
  callers.clear();
  EXPECT_GT(answered, 100);
}

}  // namespace
}  // namespace predictd
