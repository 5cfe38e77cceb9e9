#include "client/predictctl/context_limit.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

bool IsTooLong(const std::string& field, const std::string& description,
               absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  return IsPromptTooLong({.code = code, .field_violations = {{field, description}}});
}

TEST(ContextLimitTest, EveryWayToSayThatAPromptIsTooLongIsKnown) {
  EXPECT_TRUE(IsTooLong("predict.generation.prompt", "expected 1 to 2047 tokens, got at least 2048"));
  EXPECT_TRUE(IsTooLong("predict.generation.chat", "expected a prompt of fewer than 2048 tokens, got 40000 bytes"));
  EXPECT_TRUE(IsTooLong("generation.chat.messages", "expected at most 2048 messages, got 2049"));
  EXPECT_TRUE(
      IsTooLong("predict.generation.max_tokens", "expected 1 to 48, as the prompt has 2000 tokens of 2048, got 100"));
}

TEST(ContextLimitTest, OtherErrorsOfTheSameFieldsAreOthers) {
  EXPECT_FALSE(IsTooLong("predict.generation.prompt", "expected 1 to 2047 tokens, got 0"));
  EXPECT_FALSE(IsTooLong("predict.generation.chat", "roles must alternate"));
  EXPECT_FALSE(IsTooLong("predict.generation.chat.messages", "expected at least one message, got none"));
  EXPECT_FALSE(IsTooLong("predict.generation.max_tokens", "expected 1 to 2048, got 5000"));
  EXPECT_FALSE(IsTooLong("predict.generation.prompt", "expected 1 to 2047 tokens, got at least 2048",
                         absl::StatusCode::kInternal));
  EXPECT_FALSE(IsPromptTooLong({.code = absl::StatusCode::kInvalidArgument}));
}

}  // namespace
}  // namespace predictd
