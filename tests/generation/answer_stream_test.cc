#include "server/generation/answer_stream.h"

#include <gtest/gtest.h>

#include <optional>

namespace predictd {
namespace {

using Pieces = absl::StatusOr<std::vector<AnswerPiece>>;

Task<> TakeOne(AnswerStream& stream, std::optional<Pieces>& taken) {
  taken = co_await stream.Next();
}

std::optional<Pieces> Take(AnswerStream& stream) {
  std::optional<Pieces> taken;
  Detach(TakeOne(stream, taken));
  return taken;
}

SampledToken Token(int32_t id) {
  SampledToken token;
  token.id = id;
  return token;
}

const TimePoint kNow = TimePoint(std::chrono::seconds(1));

TEST(AnswerStreamTest, PiecesThatNobodyTookAreOne) {
  AnswerStream stream(/*answers=*/1, /*prompt_tokens=*/3, kNow);
  stream.Add(0, "to", Token(1), kNow);
  stream.Add(0, "ken", Token(2), kNow);
  const std::optional<Pieces> taken = Take(stream);
  ASSERT_TRUE(taken.has_value());
  ASSERT_EQ((*taken)->size(), 1);
  EXPECT_EQ((**taken)[0].text, "token");
  EXPECT_EQ((**taken)[0].tokens.size(), 2);
  EXPECT_FALSE((**taken)[0].finish_reason.has_value());
}

TEST(AnswerStreamTest, ReaderIsToldWhenItIsFlushed) {
  AnswerStream stream(/*answers=*/1, /*prompt_tokens=*/3, kNow);
  std::optional<Pieces> taken;
  Detach(TakeOne(stream, taken));
  stream.Add(0, "a", Token(1), kNow);
  EXPECT_FALSE(taken.has_value());
  stream.Flush();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ((**taken)[0].text, "a");
}

TEST(AnswerStreamTest, EndsWhenAllAnswersHaveEnded) {
  AnswerStream stream(/*answers=*/2, /*prompt_tokens=*/3, kNow);
  stream.Finish(1, "x", FinishReason::kStop);
  EXPECT_EQ((*Take(stream))->at(0).index, 1);
  std::optional<Pieces> taken;
  Detach(TakeOne(stream, taken));
  EXPECT_FALSE(taken.has_value());
  stream.Finish(0, "", FinishReason::kLength);
  stream.Flush();
  EXPECT_EQ((**taken)[0].finish_reason, FinishReason::kLength);
  EXPECT_TRUE((*Take(stream))->empty());
}

TEST(AnswerStreamTest, StopReachesTheReaderAtOnceAndTheFirstReasonCounts) {
  AnswerStream stream(/*answers=*/1, /*prompt_tokens=*/3, kNow);
  std::optional<Pieces> taken;
  Detach(TakeOne(stream, taken));
  EXPECT_FALSE(stream.stopped());
  stream.Stop(absl::CancelledError("gone"));
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(taken->status(), absl::CancelledError("gone"));
  stream.Stop(absl::InternalError("later"));
  EXPECT_EQ(Take(stream)->status(), absl::CancelledError("gone"));
}

TEST(AnswerStreamTest, TimingsAreOfTheFirstAndTheLast) {
  AnswerStream stream(/*answers=*/2, /*prompt_tokens=*/9, kNow);
  const auto at = [](int seconds) { return kNow + std::chrono::seconds(seconds); };
  stream.Begin(at(1), 5);
  stream.Begin(at(2), 7);
  stream.Add(0, "", Token(1), at(3));
  stream.Add(1, "", Token(1), at(4));
  const GenerationTimings timings = stream.timings();
  EXPECT_EQ(timings.enqueued, kNow);
  EXPECT_EQ(timings.prompt_tokens, 9);
  EXPECT_EQ(timings.started, at(1));
  EXPECT_EQ(timings.cached_tokens, 5);
  EXPECT_EQ(timings.first_token, at(3));
  EXPECT_EQ(timings.last_token, at(4));
  EXPECT_EQ(timings.generated_tokens, 2);
}

}  // namespace
}  // namespace predictd
