// Callers that leave: before the prompt is encoded, in the queue, in the prompt, in the answer.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <random>
#include <string>

#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

// Where a caller was when it left.
absl::Status GoneFrom(absl::string_view where) {
  return absl::CancelledError(absl::StrCat("the caller went away; the request was in ", where));
}
const absl::Status kGoneFromQueue = GoneFrom("the queue");
const absl::Status kGoneFromAnswer = GoneFrom("the answer");

TEST_F(GeneratorTest, WhoLeavesBeforeAWorkerIsFreeIsNeverEncoded) {
  Make({.slots = 1}, /*queue_capacity=*/1);
  const std::string prompt = Long("a");
  const auto leaving = Start(Greedy(prompt, 5));
  EXPECT_FALSE(leaving->ended());
  EXPECT_EQ(counts_.waiting, 1);
  leaving->Stop();
  EXPECT_EQ(leaving->status(), kGoneFromQueue);
  EXPECT_EQ(counts_.waiting, 0);
  const auto next = Start(Greedy("b", 5));
  scheduler_.Finish();
  EXPECT_EQ(next->text(), Expected("b", 5));
  EXPECT_EQ(counts_.prefilled, 1);
}

TEST_F(GeneratorTest, WhoLeftBeforeTheStartIsNeverComputed) {
  Make();
  for (const std::string& prompt : {std::string("a"), Long("a")}) {
    StopSource stop;
    stop.RequestStop(StopReason::kDeadline);
    std::optional<absl::StatusOr<RunningAnswers>> started;
    Detach(StartInto(*generator_, Greedy(prompt, 5), stop, started));
    ASSERT_TRUE(started.has_value());
    EXPECT_TRUE(absl::IsDeadlineExceeded(started->status())) << started->status();
    EXPECT_EQ(counts_.waiting, 0);
  }
  EXPECT_FALSE(scheduler_.Step());
}

TEST_F(GeneratorTest, WhoLeavesTheQueueIsNeverComputed) {
  Make({.slots = 1});
  const auto running = Start(Greedy("a", 5));
  const auto waiting = Start(Greedy("b", 5));
  scheduler_.Step();
  waiting->Stop();
  EXPECT_EQ(waiting->status(), kGoneFromQueue);
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
  leaving->Stop();
  EXPECT_EQ(leaving->status(), kGoneFromAnswer);
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
  leaving->Stop();
  scheduler_.Step();
  EXPECT_EQ(leaving->tokens().size(), tokens);
  EXPECT_EQ(waiting->tokens().size(), 1);
  EXPECT_EQ(record_.steps.back().rows, 1);
  scheduler_.Finish();
  EXPECT_EQ(staying->text(), Expected("b", 50));
  EXPECT_EQ(waiting->text(), Expected("c", 50));
}

TEST_F(GeneratorTest, AnswersThatAreDroppedLeaveTheQueueAndTheirSlots) {
  Make({.slots = 1});
  StopSource stop;
  std::optional<absl::StatusOr<RunningAnswers>> running;
  std::optional<absl::StatusOr<RunningAnswers>> waiting;
  Detach(StartInto(*generator_, Greedy("a", 50), stop, running));
  Detach(StartInto(*generator_, Greedy("b", 50), stop, waiting));
  const auto next = Start(Greedy("c", 50));
  for (int i = 0; i < 5; ++i) scheduler_.Step();
  EXPECT_EQ((*running)->timings().generated_tokens, 5);
  EXPECT_EQ(counts_.waiting, 2);
  waiting.reset();
  EXPECT_EQ(counts_.waiting, 1);
  running.reset();
  scheduler_.Step();
  EXPECT_EQ(next->tokens().size(), 1);
  EXPECT_EQ(counts_.waiting, 0);
  scheduler_.Finish();
  EXPECT_EQ(next->text(), Expected("c", 50));
}

TEST_F(GeneratorTest, AnswersThatWereMovedStillStop) {
  Make();
  StopSource stop;
  std::optional<RunningAnswers> moved;
  {
    std::optional<absl::StatusOr<RunningAnswers>> started;
    Detach(StartInto(*generator_, Greedy("a", 50), stop, started));
    moved = **std::move(started);
  }
  for (int i = 0; i < 5; ++i) scheduler_.Step();
  EXPECT_EQ(moved->timings().generated_tokens, 5);
  stop.RequestStop(StopReason::kCancelled);
  scheduler_.Step();
  EXPECT_EQ(counts_.slots, 0);
  EXPECT_EQ(moved->timings().generated_tokens, 5);
}

// The generator is gone from the catalog, and its last caller leaves.
TEST_F(GeneratorTest, AnswersKeepTheirGenerator) {
  Make();
  const std::weak_ptr<Generator> generator = generator_;
  StopSource stop;
  std::optional<absl::StatusOr<RunningAnswers>> started;
  Detach(StartInto(*generator_, Greedy("a", 2), stop, started));
  generator_.reset();
  scheduler_.Finish();
  EXPECT_FALSE(generator.expired());
  EXPECT_EQ((*started)->timings().generated_tokens, 2);
  started.reset();
  EXPECT_TRUE(generator.expired());
}

TEST_F(GeneratorTest, StopAfterTheEndIsHarmless) {
  Make();
  const auto reader = Start(Greedy("a", 2));
  scheduler_.Finish();
  EXPECT_TRUE(reader->ended());
  reader->Stop();
  EXPECT_TRUE(reader->status().ok());
  EXPECT_FALSE(scheduler_.Step());
}

TEST_F(GeneratorTest, TenThousandWhoLeaveLeaveNothingBehind) {
  Make({.slots = 4});
  std::mt19937 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const auto leaving = Start(Greedy(std::string(1 + random() % 60, static_cast<char>('a' + random() % 26)), 50));
    for (unsigned step = random() % 6; step > 0; --step) scheduler_.Step();
    leaving->Stop();
    ASSERT_TRUE(leaving->status() == kGoneFromQueue || leaving->status() == kGoneFromAnswer) << leaving->status();
  }
  scheduler_.Finish();
  EXPECT_EQ(counts_.slots, 0);
  EXPECT_EQ(counts_.waiting, 0);
  const auto last = Start(Greedy("hello", 12));
  scheduler_.Finish();
  EXPECT_EQ(last->text(), Expected("hello", 12));
}

// Everything happens at random, and every answer that ends is the one that the model gives alone.
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
        leaving.reader->Stop();
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

// A caller on a thread of its own.
struct Caller {
  StopSource stop;
  absl::Status status;
  int64_t tokens = 0;
  std::atomic<bool> ended{false};
};

Task<absl::Status> Generate(Caller& caller, Generator& generator, GenerationRequest request) {
  Task<absl::StatusOr<RunningAnswers>> start = generator.Start(std::move(request), caller.stop);
  absl::StatusOr<RunningAnswers> running = co_await start;
  if (!running.ok()) co_return running.status();
  while (true) {
    Task<absl::StatusOr<std::vector<AnswerPiece>>> next = running->Next();
    const absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await next;
    if (!pieces.ok() || pieces->empty()) co_return pieces.status();
    for (const AnswerPiece& piece : *pieces) caller.tokens += static_cast<int64_t>(piece.tokens.size());
  }
}

Task<> Call(Caller& caller, Generator& generator, GenerationRequest request) {
  {
    Task<absl::Status> generate = Generate(caller, generator, std::move(request));
    caller.status = co_await generate;
  }
  caller.ended.store(true);
  caller.ended.notify_one();
}

// With real workers.
TEST_F(GeneratorTest, ComesAndGoesOnManyThreads) {
  GeneratorConfig config = {.vocabulary_size = kLetters, .max_length = 400, .slots = 4};
  auto model =
      std::make_unique<FakeGeneratorModel>(kLetters, config.slots + config.prefix_slots, config.max_length, record_);
  constexpr size_t kThreads = 4;
  constexpr size_t kCalls = 100;
  std::deque<Caller> callers(kThreads * kCalls);
  WorkerPool pool({.workers = 2});
  const auto generator = std::make_shared<Generator>(std::move(model), std::make_shared<LetterTokenizer>(kLetters),
                                                     nullptr, Generator::Options{.config = config}, pool, clock_);
  std::atomic<int> answered{0};
  std::vector<std::jthread> threads;
  for (size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(static_cast<uint32_t>(thread));
      for (size_t call = 0; call < kCalls; ++call) {
        Caller& caller = callers[thread * kCalls + call];
        std::string prompt(1 + random() % 50, static_cast<char>('a' + random() % 26));
        if (random() % 2 == 0) prompt = Long(prompt);
        Detach(Call(caller, *generator, Greedy(prompt, 20)));
        if (random() % 2 == 0) {
          if (random() % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
          caller.stop.RequestStop(StopReason::kCancelled);
        }
        caller.ended.wait(false);
        ASSERT_TRUE(caller.status.ok() || absl::IsCancelled(caller.status)) << caller.status;
        if (!caller.status.ok()) continue;
        ASSERT_EQ(caller.tokens, 20);
        ++answered;
      }
    });
  }
  threads.clear();
  EXPECT_GT(answered, 100);
}

}  // namespace
}  // namespace predictd
