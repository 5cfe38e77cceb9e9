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

}  // namespace
}  // namespace predictd
