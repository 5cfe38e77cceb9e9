#include "server/text/utf8.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(IsUtf8Test, AgreesWithTheReplacement) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("twenty-four letters long"));
  EXPECT_TRUE(IsUtf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 and so on \xF4\x8F\xBF\xBF"));
  EXPECT_TRUE(IsUtf8("\xEF\xBF\xBD")) << "the replacement itself is text";
  for (const char* wrong : {"\xFF", "eight le\xFF", "\x80", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                            "\xF4\x90\x80\x80", "\xE2\x82", "\xE2x", "sixteen letters.\xC3"}) {
    EXPECT_FALSE(IsUtf8(wrong)) << testing::PrintToString(wrong);
    EXPECT_NE(ToUtf8(wrong), wrong);
  }
}

TEST(ToUtf8Test, CutsBetweenCharacters) {
  EXPECT_EQ(ToUtf8("ab\xE2\x82\xAC", 4), "ab");
  EXPECT_EQ(ToUtf8("ab\xE2\x82\xAC", 5), "ab\xE2\x82\xAC");
  EXPECT_EQ(ToUtf8("ab\xFF", 4), "ab");
}

TEST(NextUtf8Test, DecodesCodePointsOfAllLengths) {
  const struct {
    const char* text;
    char32_t code_point;
  } characters[] = {{"a", U'a'}, {"\xC3\xA9", U'\u00E9'}, {"\xE2\x82\xAC", U'\u20AC'}, {"\xF4\x8F\xBF\xBF", 0x10FFFF}};
  for (const auto& [text, code_point] : characters) EXPECT_EQ(NextUtf8(text).code_point, code_point) << text;
  EXPECT_EQ(NextUtf8("\xE2\x82").code_point, 0xFFFDU);
}

}  // namespace
}  // namespace predictd
