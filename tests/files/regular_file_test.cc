#include "server/files/regular_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;

class RegularFileTest : public testing::Test {
 protected:
  std::filesystem::path Path(const std::string& name) const { return folder_.path() / name; }

  const TempFolder folder_;
};

TEST_F(RegularFileTest, IsReadWholeWhateverItsBytesAre) {
  std::string content(3'000'000, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7);
  folder_.Write("file", content);
  const auto read = ReadRegularFile(Path("file"), 3'000'000);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == content);
  folder_.Write("empty", "");
  EXPECT_EQ(ReadRegularFile(Path("empty"), 0).value(), "");
}

TEST_F(RegularFileTest, OfMoreBytesThanAllowedIsRefusedByItsSize) {
  folder_.Write("file", "12345");
  EXPECT_TRUE(ReadRegularFile(Path("file"), 5).ok());
  EXPECT_EQ(ReadRegularFile(Path("file"), 4).status(),
            absl::InvalidArgumentError("cannot be read: it has more than the 4 bytes that are allowed"));
  // Ten gigabytes without a block: reading them would take seconds and the memory.
  folder_.Write("sparse", "");
  std::filesystem::resize_file(Path("sparse"), 10'000'000'000);
  EXPECT_EQ(ReadRegularFile(Path("sparse"), 1 << 20).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RegularFileTest, ThatDoesNotTellItsSizeIsBoundedToo) {
  EXPECT_TRUE(ReadRegularFile("/proc/self/stat", 1 << 20).ok());
  EXPECT_EQ(ReadRegularFile("/proc/self/stat", 10).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(RegularFileTest, PipesDevicesAndFoldersAreNotOpened) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("pipe", Path("link"));
  for (const std::filesystem::path& path : {Path("pipe"), Path("link"), folder_.path(),
                                            std::filesystem::path("/dev/zero"), std::filesystem::path("/dev/null")}) {
    EXPECT_EQ(ReadRegularFile(path, 100).status(),
              absl::InvalidArgumentError("cannot be read: it is not a regular file"))
        << path;
    EXPECT_EQ(CheckRegularFile(path).code(), absl::StatusCode::kInvalidArgument) << path;
  }
}

TEST_F(RegularFileTest, ThatIsMissingIsNotFound) {
  folder_.Write("file", "");
  EXPECT_EQ(ReadRegularFile(Path("missing"), 1).status(),
            absl::NotFoundError("cannot be read: No such file or directory"));
  EXPECT_EQ(CheckRegularFile(Path("file/below")).code(), absl::StatusCode::kNotFound);
}

TEST_F(RegularFileTest, LinksToFilesAndFoldersCount) {
  folder_.Write("file", "x");
  std::filesystem::create_symlink("file", Path("link"));
  EXPECT_EQ(ReadRegularFile(Path("link"), 1).value(), "x");
  std::filesystem::create_symlink(".", Path("here"));
  EXPECT_TRUE(CheckFolder(Path("here")).ok());
  EXPECT_EQ(CheckFolder(Path("file")).code(), absl::StatusCode::kNotFound);
  std::filesystem::create_symlink("loop", Path("loop"));
  EXPECT_THAT(std::string(CheckFolder(Path("loop")).message()), HasSubstr("symbolic links"));
}

}  // namespace
}  // namespace predictd
