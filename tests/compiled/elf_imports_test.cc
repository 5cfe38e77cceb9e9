#include "server/compiled/elf_imports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>

namespace predictd {
namespace {

// This test's own program imports what it calls.
std::string ThisProgram() {
  std::ostringstream bytes;
  bytes << std::ifstream("/proc/self/exe", std::ios::binary).rdbuf();
  return bytes.str();
}

TEST(ElfImportsTest, AreWhatTheProgramTakesFromLibraries) {
  const absl::StatusOr<std::vector<std::string>> imports = ElfImports(ThisProgram());
  ASSERT_TRUE(imports.ok()) << imports.status();
  EXPECT_THAT(*imports, testing::Contains(testing::StartsWith("_ZSt")));
  EXPECT_THAT(*imports, testing::Not(testing::Contains("main"))) << "that is its own";
}

TEST(ElfImportsTest, OtherBytesAreNoLibrary) {
  for (const std::string& bytes : {std::string(), std::string("\177ELF"), std::string(10'000, '\0')}) {
    EXPECT_EQ(ElfImports(bytes).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(ElfImportsTest, DamagedFilesAreReadWithinTheirBounds) {
  const std::string whole = ThisProgram();
  std::mt19937 random(7);
  // The header is where offsets, counts and sizes are; each way of reading a wrong one ends, one way or the other.
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole.substr(0, random() % 4 == 0 ? random() % whole.size() : whole.size());
    for (int changes = 0; changes < 4 && !damaged.empty(); ++changes) {
      damaged[random() % std::min<size_t>(damaged.size(), 64)] = static_cast<char>(random());
    }
    const auto imports = ElfImports(damaged);
    EXPECT_TRUE(imports.ok() || absl::IsInvalidArgument(imports.status()));
  }
}

}  // namespace
}  // namespace predictd
