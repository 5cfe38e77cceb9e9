#include "client/predictctl/prompt.h"

#include <gtest/gtest.h>

#include <sstream>

namespace predictd {
namespace {

std::string Read(const std::optional<std::string>& argument, const std::string& standard_input) {
  std::istringstream in(standard_input);
  return *ReadPrompt(argument, in);
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

TEST(PromptTest, WhatIsNotUtf8IsRefused) {
  std::istringstream in("\xff");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPrompt(std::nullopt, in).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPrompt("\xc3", in).status()));
}

}  // namespace
}  // namespace predictd
