#include "client/predictctl/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

TEST(Utf8Test, CharactersHaveOneToFourBytes) {
  EXPECT_EQ(CharacterBytes("az"), 1);
  EXPECT_EQ(CharacterBytes("\xc2\x80z"), 2);
  EXPECT_EQ(CharacterBytes("€z"), 3);
  EXPECT_EQ(CharacterBytes("\xed\x9f\xbf"), 3);
  EXPECT_EQ(CharacterBytes("😀z"), 4);
  EXPECT_EQ(CharacterBytes("\xf4\x8f\xbf\xbf"), 4);
  EXPECT_EQ(CharacterBytes(absl::string_view("\0", 1)), 1);
}

TEST(Utf8Test, EverythingElseIsNoCharacter) {
  EXPECT_EQ(CharacterBytes(""), 0);
  EXPECT_EQ(CharacterBytes("\x80"), 0) << "goes on with a character";
  EXPECT_EQ(CharacterBytes("\xe2\x82"), 0) << "ends too early";
  EXPECT_EQ(CharacterBytes("\xe2\x82z"), 0) << "is cut off by another";
  EXPECT_EQ(CharacterBytes("\xc1\xbf"), 0) << "two bytes for one";
  EXPECT_EQ(CharacterBytes("\xe0\x9f\xbf"), 0) << "three bytes for two";
  EXPECT_EQ(CharacterBytes("\xf0\x8f\xbf\xbf"), 0) << "four bytes for three";
  EXPECT_EQ(CharacterBytes("\xed\xa0\x80"), 0) << "half of a UTF-16 pair";
  EXPECT_EQ(CharacterBytes("\xf4\x90\x80\x80"), 0) << "beyond U+10FFFF";
  EXPECT_EQ(CharacterBytes("\xff"), 0);
}

TEST(Utf8Test, TextIsUtf8IfEveryCharacterIs) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("Grüße, 😀"));
  EXPECT_FALSE(
      IsUtf8("Gr\xfc\xdf"
             "e"));
  EXPECT_FALSE(IsUtf8("Grüße\xc3"));
}

}  // namespace
}  // namespace predictd
