#include "server/telemetry/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace predictd {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

TEST(ToValidUtf8Test, KeepsValidTextOfAllLengths) {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF";
  EXPECT_EQ(ToValidUtf8(text, 100), text);
}

TEST(ToValidUtf8Test, ReplacesEveryInvalidByte) {
  const std::string r(kReplacement);
  EXPECT_EQ(ToValidUtf8("a\xFF z", 100), "a" + r + " z");
  EXPECT_EQ(ToValidUtf8("\x80", 100), r);                          // a continuation alone
  EXPECT_EQ(ToValidUtf8("\xC0\xAF", 100), r + r);                  // overlong '/'
  EXPECT_EQ(ToValidUtf8("\xE0\x80\xAF", 100), r + r + r);          // overlong
  EXPECT_EQ(ToValidUtf8("\xED\xA0\x80", 100), r + r + r);          // a surrogate
  EXPECT_EQ(ToValidUtf8("\xF4\x90\x80\x80", 100), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(ToValidUtf8("\xE2\x82", 100), r + r);                  // cut short
  EXPECT_EQ(ToValidUtf8("\xE2x", 100), r + "x");
}

TEST(ToValidUtf8Test, CutsBetweenCharacters) {
  EXPECT_EQ(ToValidUtf8("ab\xE2\x82\xAC", 4), "ab");
  EXPECT_EQ(ToValidUtf8("ab\xE2\x82\xAC", 5), "ab\xE2\x82\xAC");
  EXPECT_EQ(ToValidUtf8("ab\xFF", 4), "ab");
}

}  // namespace
}  // namespace predictd
