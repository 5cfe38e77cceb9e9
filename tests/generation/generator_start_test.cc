// The way of a request from its prompt to the queue.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class GeneratorStartTest : public GeneratorTest {
 protected:
  // Encoding a text takes 3 ms.
  void MakeSlow() {
    Make({.slots = 1}, /*queue_capacity=*/8, std::make_shared<LetterTokenizer>(kLetters, [this] {
           clock_.Advance(milliseconds(3));
           ++encoded_;
         }));
  }

  const std::string long_ = Long("a");
  int encoded_ = 0;
};

TEST_F(GeneratorStartTest, ShortPromptIsEncodedAtOnce) {
  MakeSlow();
  const auto reader = Start(Greedy("hello", 2));
  EXPECT_EQ(encoded_, 1);
  EXPECT_EQ(reader->encoding().ended - reader->encoding().started, milliseconds(3));
  EXPECT_EQ(reader->timings().prompt_tokens, 5);
  scheduler_.Finish();
  EXPECT_EQ(reader->text(), Expected("hello", 2));
}

TEST_F(GeneratorStartTest, TokensNeedNoEncoding) {
  MakeSlow();
  const std::vector<int32_t> ids = Ids("hello");
  GenerationRequest request = Greedy("", 2);
  request.prompt = TokenPrompt{ids};
  const auto reader = Start(request);
  scheduler_.Finish();
  EXPECT_EQ(encoded_, 0);
  EXPECT_EQ(reader->text(), Expected("hello", 2));
}

TEST_F(GeneratorStartTest, LongPromptIsEncodedInAStep) {
  MakeSlow();
  const auto reader = Start(Greedy(long_, 2));
  EXPECT_EQ(encoded_, 0);
  EXPECT_EQ(counts_.waiting, 1);
  clock_.Advance(seconds(1));
  EXPECT_TRUE(scheduler_.Step());
  EXPECT_EQ(encoded_, 1);
  // What it waited for is no part of encoding, but it is a part of waiting.
  EXPECT_EQ(reader->encoding().ended - reader->encoding().started, milliseconds(3));
  EXPECT_EQ(reader->encoding().started - reader->timings().enqueued, seconds(1));
  EXPECT_EQ(counts_.waiting, 1);
  scheduler_.Finish();
  EXPECT_EQ(reader->text(), Expected("a", 2));
  EXPECT_EQ(counts_.waiting, 0);
}

TEST_F(GeneratorStartTest, LongPromptsAreEncodedByDeadline) {
  MakeSlow();
  const auto with_deadline = [&](Duration in) {
    GenerationRequest request = Greedy(long_, 2);
    request.deadline = clock_.Now() + in;
    return Start(std::move(request));
  };
  const auto late = with_deadline(seconds(9));
  const auto early = with_deadline(seconds(5));
  scheduler_.Step();
  EXPECT_NE(early->encoding().ended, TimePoint());
  EXPECT_EQ(late->encoding().ended, TimePoint());
  scheduler_.Finish();
  EXPECT_TRUE(late->ended());
}

TEST_F(GeneratorStartTest, PromptThatWaitsForAWorkerTakesRoom) {
  Make({.slots = 1}, /*queue_capacity=*/1);
  const auto first = Start(Greedy(long_, 2));
  const auto refused = Start(Greedy("b", 2));
  EXPECT_TRUE(absl::IsResourceExhausted(refused->status())) << refused->status();
  EXPECT_EQ(refused->encoding().ended, TimePoint());
  scheduler_.Finish();
  EXPECT_EQ(first->text(), Expected("a", 2));
}

TEST_F(GeneratorStartTest, FailedEncodingTookTimeAndTakesNoRoom) {
  MakeSlow();
  const auto reader = Start(Greedy("?", 2));
  EXPECT_EQ(reader->status(), absl::InvalidArgumentError("prompt: expected 1 to 399 tokens, got 0"));
  EXPECT_EQ(reader->encoding().ended - reader->encoding().started, milliseconds(3));
  EXPECT_EQ(counts_.waiting, 0);
}

TEST_F(GeneratorStartTest, CallerThatLeavesWhileItsPromptIsEncodedTakesNoRoom) {
  std::unique_ptr<Reader> reader;
  Make({.slots = 1}, /*queue_capacity=*/1, std::make_shared<LetterTokenizer>(kLetters, [&reader] {
         if (reader != nullptr) reader->Stop(StopReason::kDeadline);
       }));
  reader = Start(Greedy(long_, 2));
  scheduler_.Finish();
  EXPECT_EQ(reader->status(), absl::DeadlineExceededError("the deadline passed in the prompt"));
  EXPECT_NE(reader->encoding().ended, TimePoint());
  EXPECT_EQ(counts_.waiting, 0);
  EXPECT_EQ(counts_.prefilled, 0);
}

TEST_F(GeneratorStartTest, AnswerIsAsLongAsFits) {
  Make({.max_length = 20});
  GenerationRequest request = Greedy("hello", 15);
  const auto limited = Start(request);
  request.max_tokens = 16;
  const auto refused = Start(request);
  request.max_tokens.reset();
  const auto unlimited = Start(request);
  scheduler_.Finish();
  EXPECT_EQ(limited->tokens().size(), 15);
  EXPECT_EQ(refused->status(),
            absl::InvalidArgumentError("max_tokens: expected 1 to 15, as the prompt has 5 tokens of 20, got 16"));
  EXPECT_EQ(unlimited->text(), Expected("hello", 15));
}

TEST_F(GeneratorStartTest, WrongSamplingIsRefused) {
  Make();
  GenerationRequest request = Greedy("hello", 2);
  request.options.sampling.top_p = 2;
  const auto reader = Start(request);
  EXPECT_TRUE(absl::IsInvalidArgument(reader->status())) << reader->status();
  EXPECT_EQ(counts_.waiting, 0);
}

}  // namespace
}  // namespace predictd
