#include "server/generation/generator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <set>
#include <string>

#include "server/async/retry_advice.h"
#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

TEST_F(GeneratorTest, AnswerIsWhatTheModelSaysUntilMaxTokens) {
  Make();
  const auto reader = Start(Greedy("hello", 12));
  scheduler_.Finish();
  EXPECT_TRUE(reader->ended());
  EXPECT_TRUE(reader->status().ok());
  EXPECT_EQ(reader->text(), Expected("hello", 12));
  EXPECT_EQ(reader->tokens().size(), 12);
  EXPECT_EQ(reader->finish_reason(), FinishReason::kLength);
  EXPECT_EQ(reader->timings().generated_tokens, 12);
}

TEST_F(GeneratorTest, EachStepSendsAToken) {
  Make();
  const auto reader = Start(Greedy("hello", 5));
  for (size_t tokens = 1; tokens <= 5; ++tokens) {
    EXPECT_TRUE(scheduler_.Step());
    EXPECT_EQ(reader->tokens().size(), tokens);
    // The last token is put into the model only by the next step.
    EXPECT_EQ(counts_.cached_tokens, tokens < 5 ? 4 + tokens : 0);
  }
  EXPECT_TRUE(reader->ended());
  EXPECT_FALSE(scheduler_.Step());
}

TEST_F(GeneratorTest, AnswerDoesNotDependOnItsNeighbours) {
  Make({.slots = 16});
  std::vector<std::unique_ptr<Reader>> readers;
  std::vector<std::string> prompts;
  for (int i = 0; i < 16; ++i) {
    // They come and end at different times.
    prompts.push_back(std::string(static_cast<size_t>(1 + i * 7), static_cast<char>('a' + i)));
    readers.push_back(Start(Greedy(prompts.back(), 5 + (i * 13) % 40)));
    for (int step = 0; step < i % 3; ++step) scheduler_.Step();
  }
  scheduler_.Finish();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(readers[i]->text(), Expected(prompts[i], 5 + (i * 13) % 40)) << i;
  EXPECT_GT(counts_.decoded, 0);
  EXPECT_EQ(counts_.slots, 0);
  EXPECT_EQ(counts_.waiting, 0);
}

TEST_F(GeneratorTest, RunningAnswersShareSteps) {
  Make({.slots = 4});
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 4; ++i) readers.push_back(Start(Greedy(std::string(1, static_cast<char>('a' + i)), 50)));
  scheduler_.Finish();
  int64_t together = 0;
  for (const auto& step : record_.steps) together += step.rows == 4 ? 1 : 0;
  EXPECT_GE(together, 45);
}

TEST_F(GeneratorTest, ShortPromptsBeginInOneStep) {
  Make({.slots = 4});
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 4; ++i) readers.push_back(Start(Greedy(std::string(1, static_cast<char>('a' + i)), 50)));
  scheduler_.Step();
  for (const auto& reader : readers) EXPECT_EQ(reader->tokens().size(), 1);
  scheduler_.Finish();
}

// Each prompt makes the step read all weights, however short the prompt is.
TEST_F(GeneratorTest, ManyShortPromptsAreNotAllComputedInOneStep) {
  Make({.slots = 4}, /*queue_capacity=*/200);
  const auto running = Start(Greedy("a", 100));
  scheduler_.Step();
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 100; ++i) readers.push_back(Start(Greedy("bcd", 1)));
  const size_t before = record_.steps.size();
  scheduler_.Step();
  EXPECT_LE(record_.steps.size() - before, 1 + 512 / GenerationCost::kPart);
  scheduler_.Finish();
}

TEST_F(GeneratorTest, WaitsForASlotByDeadlineAndPriority) {
  Make({.slots = 1});
  const auto running = Start(Greedy("a", 3));
  scheduler_.Step();
  const auto with_deadline = [&](Duration in, int64_t priority) {
    GenerationRequest request = Greedy("b", 3);
    request.deadline = clock_.Now() + in;
    request.priority = priority;
    return Start(std::move(request));
  };
  const auto late = with_deadline(std::chrono::seconds(9), 2);
  const auto early = with_deadline(std::chrono::seconds(5), 2);
  const auto urgent = with_deadline(std::chrono::seconds(9), 3);
  EXPECT_EQ(counts_.waiting, 3);
  while (!urgent->ended()) scheduler_.Step();
  EXPECT_TRUE(running->ended());
  EXPECT_FALSE(early->ended());
  while (!early->ended()) scheduler_.Step();
  EXPECT_FALSE(late->ended());
  scheduler_.Finish();
  EXPECT_TRUE(late->ended());
}

TEST_F(GeneratorTest, FullQueueRefusesWithAdvice) {
  Make({.slots = 1}, /*queue_capacity=*/2);
  const auto first = Start(Greedy("a", 3));
  const auto second = Start(Greedy("b", 3));
  const auto third = Start(Greedy("c", 3));
  EXPECT_TRUE(absl::IsResourceExhausted(third->status())) << third->status();
  EXPECT_GT(RetryAfter(third->status()), absl::ZeroDuration());
  scheduler_.Finish();
  EXPECT_EQ(second->text(), Expected("b", 3));
}

TEST_F(GeneratorTest, LongPromptIsComputedInPartsWhileOthersGoOn) {
  Make({.slots = 2, .prefix_slots = 0});
  const auto running = Start(Greedy("a", 60));
  scheduler_.Step();
  const std::string prompt(300, 'z');
  const auto newcomer = Start(Greedy(prompt, 4));
  size_t before = running->tokens().size();
  int parts = 0;
  while (newcomer->tokens().empty()) {
    scheduler_.Step();
    EXPECT_EQ(running->tokens().size(), ++before) << "the running answer lost its pace";
    ++parts;
  }
  EXPECT_GE(parts, 2);
  scheduler_.Finish();
  EXPECT_EQ(newcomer->text(), Expected(prompt, 4));
  EXPECT_EQ(running->text(), Expected("a", 60));
}

TEST_F(GeneratorTest, EndTokenEndsTheAnswerAndIsNotPartOfIt) {
  const std::string whole = Expected("hello", 40);
  const char end = whole[10];
  const std::string expected = whole.substr(0, whole.find(end));
  Make({.end_token_ids = {end - 'a'}});
  const auto reader = Start(Greedy("hello", 40));
  GenerationRequest request = Greedy("hello", 40);
  request.options.ignore_end = true;
  const auto ignoring = Start(request);
  request.options.stop_token_ids = {whole[2] - 'a'};
  const auto stopped = Start(request);
  scheduler_.Finish();
  EXPECT_EQ(reader->text(), expected);
  EXPECT_EQ(reader->finish_reason(), FinishReason::kStop);
  // The token that ended the answer was generated like any other, but is not part of the text.
  EXPECT_EQ(reader->tokens().size(), expected.size() + 1);
  EXPECT_EQ(reader->timings().generated_tokens, static_cast<int64_t>(expected.size()) + 1);
  EXPECT_EQ(ignoring->text(), whole);
  EXPECT_EQ(ignoring->finish_reason(), FinishReason::kLength);
  EXPECT_EQ(stopped->text(), whole.substr(0, whole.find(whole[2])));
  EXPECT_EQ(stopped->finish_reason(), FinishReason::kStop);
  EXPECT_EQ(stopped->tokens().back().id, whole[2] - 'a');
  const int64_t reported =
      reader->timings().generated_tokens + ignoring->timings().generated_tokens + stopped->timings().generated_tokens;
  EXPECT_EQ(static_cast<int64_t>(counts_.first_tokens.size()) + counts_.next_tokens, reported);
}

TEST_F(GeneratorTest, StopStringAcrossTokensEndsTheAnswer) {
  Make();
  const std::string whole = Expected("hello", 40);
  GenerationRequest request = Greedy("hello", 40);
  request.options.stop = {whole.substr(20, 4)};
  const auto reader = Start(request);
  scheduler_.Finish();
  EXPECT_EQ(reader->text(), whole.substr(0, whole.find(request.options.stop[0])));
  EXPECT_EQ(reader->finish_reason(), FinishReason::kStop);
  EXPECT_EQ(counts_.slots, 0);
}

TEST_F(GeneratorTest, SeveralAnswersDifferBySeedAndShareThePrompt) {
  Make({.slots = 4});
  const std::string prompt(200, 'q');
  GenerationRequest request = Greedy(prompt, 30);
  request.options.sampling.temperature = 100;
  request.options.sampling.seed = 7;
  request.options.answers = 3;
  const auto reader = Start(request);
  const int64_t computed = counts_.prefilled;
  scheduler_.Finish();
  EXPECT_NE(reader->text(0), reader->text(1));
  EXPECT_NE(reader->text(1), reader->text(2));
  // Only whole parts are taken over.
  EXPECT_EQ(counts_.prefilled - computed, 200 + 8 + 8);
  EXPECT_EQ(counts_.reused, 192 + 192);
  EXPECT_EQ(reader->timings().generated_tokens, 90);

  request.options.answers = 1;
  request.options.sampling.seed = 8;
  const auto alone = Start(request);
  scheduler_.Finish();
  EXPECT_EQ(alone->text(), reader->text(1));
}

TEST_F(GeneratorTest, BeginningOfAnEarlierConversationIsNotComputedAgain) {
  Make();
  const std::string first(100, 'k');
  const auto one = Start(Greedy(first, 20));
  scheduler_.Finish();
  const std::string second = first + one->text() + "andmore";
  const auto two = Start(Greedy(second, 20));
  scheduler_.Finish();
  EXPECT_EQ(two->text(), Expected(second, 20));
  // The first answer's last token was never put back into the model, and of the other 119 only whole parts are taken
  // over.
  EXPECT_EQ(two->timings().cached_tokens, 112);
  GenerationRequest request = Greedy(second, 20);
  request.options.reuse_prefix = false;
  const auto three = Start(request);
  scheduler_.Finish();
  EXPECT_EQ(three->text(), two->text());
  EXPECT_EQ(three->timings().cached_tokens, 0);
}

TEST_F(GeneratorTest, FailingStepFailsThoseInItAndNobodyElse) {
  Make({.slots = 2});
  const auto running = Start(Greedy("a", 20));
  scheduler_.Step();
  record_.before = [](const FakeGeneratorModel::Step&) { return absl::InternalError("out of registers"); };
  scheduler_.Step();
  EXPECT_EQ(running->status(), absl::InternalError("out of registers"));
  record_.before = [](const FakeGeneratorModel::Step&) { return absl::OkStatus(); };
  const auto next = Start(Greedy("b", 20));
  scheduler_.Finish();
  EXPECT_EQ(next->text(), Expected("b", 20));
  EXPECT_EQ(counts_.slots, 0);
}

TEST_F(GeneratorTest, NotANumberStaysInItsAnswer) {
  Make({.slots = 2});
  record_.change = [](const std::vector<int32_t>& seen, absl::Span<float> logits) {
    if (seen.front() == 0 && seen.size() == 5) logits[3] = std::numeric_limits<float>::quiet_NaN();
  };
  const auto poisoned = Start(Greedy("a", 20));
  const auto other = Start(Greedy("b", 20));
  scheduler_.Finish();
  EXPECT_TRUE(absl::IsInternal(poisoned->status())) << poisoned->status();
  EXPECT_EQ(poisoned->tokens().size(), 4);
  EXPECT_EQ(other->text(), Expected("b", 20));
}

TEST_F(GeneratorTest, FirstTokenIsCountedFromTheArrival) {
  Make({.slots = 1});
  record_.before = [this](const FakeGeneratorModel::Step&) {
    clock_.Advance(milliseconds(5));
    return absl::OkStatus();
  };
  const auto first = Start(Greedy("a", 2));
  const auto second = Start(Greedy("b", 2));
  scheduler_.Finish();
  ASSERT_EQ(counts_.first_tokens.size(), 2);
  EXPECT_EQ(counts_.first_tokens[0], milliseconds(5));
  EXPECT_EQ(counts_.first_tokens[1], milliseconds(15));
  const GenerationTimings timings = second->timings();
  EXPECT_EQ(timings.started - timings.enqueued, milliseconds(10));
  EXPECT_EQ(timings.last_token - timings.first_token, milliseconds(5));
}

TEST_F(GeneratorTest, WarmUpRunsFewSequencesAndLeavesNoMemoryTaken) {
  Make({.slots = 6});
  ASSERT_TRUE(generator_->WarmUp([](const auto& function) { function(); }, std::atomic<bool>(false)).ok());
  std::set<int64_t> rows;
  for (const auto& step : record_.steps) rows.insert(step.rows);
  EXPECT_EQ(rows, (std::set<int64_t>{1, 2}));
  EXPECT_EQ(record_.released, (std::vector<std::pair<int64_t, int64_t>>{{0, 6}}));
  const auto reader = Start(Greedy("hello", 12));
  scheduler_.Finish();
  EXPECT_EQ(reader->text(), Expected("hello", 12));
}

TEST_F(GeneratorTest, WarmUpStopsBetweenTwoRuns) {
  Make({.slots = 6});
  std::atomic<bool> stopping{false};
  int runs = 0;
  const auto run = [&](const auto& function) {
    function();
    stopping = ++runs == 2;
  };
  EXPECT_EQ(generator_->WarmUp(run, stopping).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(record_.steps.size(), 2U) << "one run of the model each";
}

}  // namespace
}  // namespace predictd
