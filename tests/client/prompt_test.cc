#include "client/predictctl/prompt.h"

#include <gtest/gtest.h>

#include <sstream>

namespace predictd {
namespace {

std::string Read(const std::optional<std::string>& argument, const std::string& standard_input) {
  std::istringstream in(standard_input);
  return *ReadPrompt(argument, in, 100);
}

TEST(PromptTest, ArgumentIsTakenAsItStands) {
  EXPECT_EQ(Read("a\n", "b"), "a\n");
  EXPECT_EQ(Read("", "b"), "");
}

TEST(PromptTest, StandardInputLosesOneNewlineAtItsEnd) {
  EXPECT_EQ(Read("-", "two\nlines\n"), "two\nlines");
  EXPECT_EQ(Read(std::nullopt, "blank line\n\n"), "blank line\n");
  EXPECT_EQ(Read(std::nullopt, "from afar\r\n"), "from afar");
  EXPECT_EQ(Read(std::nullopt, "none\r"), "none\r");
  EXPECT_EQ(Read(std::nullopt, ""), "");
}

TEST(PromptTest, NoMoreIsReadThanMayBeSent) {
  std::istringstream in(std::string(1 << 20, 'x'));
  EXPECT_EQ(ReadPrompt(std::nullopt, in, 100).status().message(),
            "the prompt is longer than 100 bytes (--max-message-bytes)");
  EXPECT_TRUE(in.good()) << "the rest is still there";
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPrompt(std::string(101, 'x'), in, 100).status()));
  EXPECT_TRUE(ReadPrompt(std::string(100, 'x'), in, 100).ok());
}

TEST(PromptTest, WhatIsNotUtf8IsRefused) {
  std::istringstream in("\xff");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPrompt(std::nullopt, in, 100).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPrompt("\xc3", in, 100).status()));
}

}  // namespace
}  // namespace predictd
