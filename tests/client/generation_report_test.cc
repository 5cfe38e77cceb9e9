#include "client/predictctl/generation_report.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(GenerationReportTest, UsageIsToldInOneLine) {
  v1::GenerationUsage usage;
  usage.set_prompt_tokens(12);
  usage.set_cached_prompt_tokens(8);
  usage.set_generated_tokens(45);
  usage.mutable_time_to_first_token()->set_nanos(120'400'000);
  usage.set_tokens_per_second(83.06);
  EXPECT_EQ(
      UsageText(usage, {v1::FINISH_REASON_STOP, v1::FINISH_REASON_LENGTH}),
      "prompt 12 tokens, 8 of them cached; 45 generated; first after 120 ms; 83.1 tokens/s; finished: stop, length");
}

TEST(GenerationReportTest, WhatDoesNotApplyIsLeftOut) {
  v1::GenerationUsage usage;
  usage.set_prompt_tokens(3);
  EXPECT_EQ(UsageText(usage, {v1::FINISH_REASON_STOP}), "prompt 3 tokens; 0 generated; finished: stop");
}

TEST(GenerationReportTest, LogprobsAreATable) {
  google::protobuf::RepeatedPtrField<v1::GeneratedToken> tokens;
  v1::GeneratedToken& token = *tokens.Add();
  token.set_id(284);
  token.set_logprob(-0.25F);
  for (const auto& [id, logprob] : {std::pair(284, -0.25F), std::pair(7, -1.5F)}) {
    v1::TokenLogprob& other = *token.add_top_logprobs();
    other.set_id(id);
    other.set_logprob(logprob);
  }
  tokens.Add()->set_id(2);
  EXPECT_EQ(LogprobsText(tokens),
            "TOKEN  LOGPROB  LIKELIEST\n"
            "284    -0.250   284 -0.250, 7 -1.500\n"
            "2      0.000\n");
}

}  // namespace
}  // namespace predictd
