#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/text/utf8.h"

namespace predictd {
namespace {

const std::string kOne(kReplacementCharacter);

TEST(Utf8ReplacementTest, TextStaysAsItIs) {
  for (const std::string text : {"", "abc", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF\xEE\x80\x80",
                                 "\xF4\x8F\xBF\xBF", "\xEF\xBF\xBD"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
    EXPECT_EQ(ToUtf8(text), text);
  }
  EXPECT_EQ(ToUtf8(std::string("a\0b", 3)), std::string("a\0b", 3));
}

// One replacement for each longest part of a character, as in Unicode's table 3-8.
TEST(Utf8ReplacementTest, LongestPartOfACharacterBecomesOneReplacement) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\x80", kOne},
      {"a\xFF z", "a" + kOne + " z"},
      {"\xC0\xAF", kOne + kOne},
      {"\xE2\x82", kOne},
      {"\xE2x", kOne + "x"},
      {"\xE2\x82(", kOne + "("},
      {"\xE2\x28\xA1", kOne + "(" + kOne},
      {"\xF0\x9F\x98", kOne},
      {"\xF0\x9F\xF0\x9F\x98\x80", kOne + "\xF0\x9F\x98\x80"},
      {"\xED\xA0\x80", kOne + kOne + kOne},
      {"\xE0\x80\xAF", kOne + kOne + kOne},
      {"\xE0\x9F\xBF", kOne + kOne + kOne},
      {"\xF0\x8F\xBF\xBF", kOne + kOne + kOne + kOne},
      {"\xF4\x90\x80\x80", kOne + kOne + kOne + kOne},
      {"\xF5\x80", kOne + kOne},
      {"\xC3\xC3\xA9", kOne + "\xC3\xA9"},
  };
  for (const auto& [bytes, text] : cases) {
    EXPECT_FALSE(IsUtf8(bytes));
    EXPECT_EQ(ToUtf8(bytes), text);
  }
}

TEST(Utf8ReplacementTest, BeginningOfACharacterIsIncomplete) {
  for (const std::string bytes : {"\xC3", "\xE2", "\xE2\x82", "\xED\x9F", "\xF0\x90", "\xF4\x8F\xBF"}) {
    const Utf8Step step = NextUtf8(bytes);
    EXPECT_EQ(step.kind, Utf8Step::Kind::kIncomplete);
    EXPECT_EQ(step.length, bytes.size());
  }
  EXPECT_EQ(NextUtf8("\xE2\x82z").kind, Utf8Step::Kind::kInvalid);
  EXPECT_EQ(NextUtf8("\xE2\x82z").length, 2U);
  EXPECT_EQ(NextUtf8("\xED\xA0").kind, Utf8Step::Kind::kInvalid);
}

}  // namespace
}  // namespace predictd
