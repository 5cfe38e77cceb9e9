#include "server/files/toml_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;

TEST(TomlFileTest, ReadsWhatTomlAllows) {
  const auto table = ParseToml(
      "\xEF\xBB\xBF"
      "a = 67_108_864\nb = 0x3\nc = \"\"\"x\"\"\"\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)["a"].value_exact<int64_t>(), 67108864);
  EXPECT_EQ((*table)["b"].value_exact<int64_t>(), 3);
  EXPECT_EQ((*table)["c"].value_exact<std::string>(), "x");
}

TEST(TomlFileTest, WhatIsNoTomlIsAnErrorWithItsLine) {
  for (const char* text : {"a = 1\nb = 010\n", "a = 1\na = 2\n", "a = 1\nb = 2 3\n", "a = 1\nb\n", "a = 1\nb = \xFF\n",
                           "a = 1\nb = 99999999999999999999\n"}) {
    const auto table = ParseToml(text);
    EXPECT_EQ(table.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr("line 2: ")) << text;
  }
}

TEST(TomlFileTest, DeepNestingIsAnErrorAndNotAStackOverflow) {
  EXPECT_FALSE(ParseToml("a = " + std::string(100'000, '[')).ok());
  EXPECT_FALSE(ParseToml("a = " + std::string(100'000, '[') + std::string(100'000, ']')).ok());
}

TEST(TomlFileTest, FilesAreBounded) {
  const TempFolder folder;
  folder.Write("small.toml", "a = 1\n");
  folder.Write("large.toml", std::string((1 << 20) + 1, '#'));
  EXPECT_TRUE(ReadTomlFile(folder.path() / "small.toml").ok());
  EXPECT_THAT(std::string(ReadTomlFile(folder.path() / "large.toml").status().message()), HasSubstr("1048576 bytes"));
}

}  // namespace
}  // namespace predictd
