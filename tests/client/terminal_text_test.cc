#include "client/predictctl/terminal_text.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(TerminalTextTest, OrdinaryTextStaysAsItIs) {
  for (const char* text : {"", "Two\tcolumns,\ntwo lines\n", "Grüße €, 😀 שלום", "a \\x1b that was there"}) {
    EXPECT_EQ(TerminalText(text), text);
  }
}

TEST(TerminalTextTest, ControlCharactersAreWrittenOut) {
  EXPECT_EQ(TerminalText("\x1b[2J\x1b]0;title\x07"), "\\x1b[2J\\x1b]0;title\\x07");
  EXPECT_EQ(TerminalText("over\rwritten\b\x7f"), "over\\x0dwritten\\x08\\x7f");
  EXPECT_EQ(TerminalText(absl::string_view("a\0b", 3)), "a\\x00b");
}

TEST(TerminalTextTest, ControlCharactersOfTwoBytesAreWrittenOut) {
  EXPECT_EQ(TerminalText("\xc2\x9b"
                         "31m\xc2\x80\xc2\x9f"),
            "\\u009b31m\\u0080\\u009f");
  EXPECT_EQ(TerminalText("\xc2\xa0"), "\xc2\xa0");
}

TEST(TerminalTextTest, BytesThatAreNotUtf8AreWrittenOut) {
  EXPECT_EQ(TerminalText("\x9b"
                         "31m ok \xe2\x82"),
            "\\x9b31m ok \\xe2\\x82");
}

}  // namespace
}  // namespace predictd
