#include "client/predictctl/table.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"A", "B", "C"});
  table.AddRow({"long", "x", ""});
  table.AddRow({"é", "yy", "z"});
  EXPECT_EQ(table.Text("> "), "> A     B   C\n> long  x\n> é     yy  z\n");
}

TEST(TableTest, WideColumnsAreCutButNeverTheFirst) {
  Table table({"NAME", "B", "C"});
  table.AddRow({"a name that is long enough", "short", "cell with ä lot of words"});
  table.AddRow({"n", "a cell of thirteen", "x"});
  const std::string text = table.Text("  ", 60);
  EXPECT_EQ(text,
            "  NAME                        B               C\n"
            "  a name that is long enough  short           cell with ä...\n"
            "  n                           a cell of t...  x\n");
  const std::string narrow = table.Text("", 10);
  EXPECT_NE(narrow.find("cell with..."), std::string::npos) << narrow;
  EXPECT_NE(narrow.find("a name that is long enough"), std::string::npos) << narrow;
  EXPECT_EQ(table.Text("", 1000), table.Text());
}

}  // namespace
}  // namespace predictd
