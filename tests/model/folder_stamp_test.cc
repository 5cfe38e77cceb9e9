#include "server/model/folder_stamp.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

class FolderStampTest : public testing::Test {
 protected:
  FolderStampTest() {
    folder_.Write("m/model.toml", "x = 1");
    folder_.Write("m/1/model.pt", "model");
    folder_.Write("m/1/extra/deep/file", "deep");
    stamp_ = StampFolder(model());
  }

  fs::path model() const { return folder_.path() / "m"; }
  // Whether the stamp is another one than the last time.
  bool Changed() {
    const uint64_t last = std::exchange(stamp_, StampFolder(model()));
    return stamp_ != last;
  }

  const TempFolder folder_;
  uint64_t stamp_ = 0;
};

TEST_F(FolderStampTest, StaysWhenNothingChanges) {
  EXPECT_FALSE(Changed());
  chmod((model() / "1/model.pt").c_str(), 0600);
  EXPECT_FALSE(Changed()) << "who may read it is no content";
  fs::rename(model(), folder_.path() / "n");
  fs::rename(folder_.path() / "n", model());
  EXPECT_FALSE(Changed());
  folder_.Write("m/.model.toml.swp", "what an editor leaves");
  folder_.Write("m/1/.hidden/file", "x");
  EXPECT_FALSE(Changed());
}

TEST_F(FolderStampTest, ChangesWithEveryFileAndName) {
  folder_.Write("m/1/model.pt", "other model");
  EXPECT_TRUE(Changed()) << "size";
  fs::last_write_time(model() / "model.toml", fs::file_time_type::clock::now() + std::chrono::seconds(1));
  EXPECT_TRUE(Changed()) << "time";
  folder_.Write("m/1/extra/deep/file", "deeper");
  EXPECT_TRUE(Changed()) << "deep down";
  folder_.Write("m/2/model.pt", "x");
  EXPECT_TRUE(Changed()) << "a folder more";
  fs::rename(model() / "2", model() / "3");
  EXPECT_TRUE(Changed()) << "another name";
  fs::remove_all(model() / "3");
  EXPECT_TRUE(Changed()) << "a folder less";
  const auto time = fs::last_write_time(model() / "1/model.pt");
  folder_.Write("copy", "OTHER MODEL");
  fs::rename(folder_.path() / "copy", model() / "1/model.pt");
  fs::last_write_time(model() / "1/model.pt", time);
  EXPECT_TRUE(Changed()) << "another file of that size and time";
}

TEST_F(FolderStampTest, FollowsLinksInTheFolderAndThoseToFiles) {
  folder_.Write("elsewhere/2/model.pt", "x");
  folder_.Write("elsewhere/file", "x");
  fs::create_directory_symlink(folder_.path() / "elsewhere/2", model() / "2");
  fs::create_symlink(folder_.path() / "elsewhere/file", model() / "1/linked");
  EXPECT_TRUE(Changed());
  folder_.Write("elsewhere/2/model.pt", "xy");
  EXPECT_TRUE(Changed());
  folder_.Write("elsewhere/file", "xy");
  EXPECT_TRUE(Changed());
}

TEST_F(FolderStampTest, EndsWhateverThereIs) {
  fs::create_directory_symlink(model(), model() / "1/circle");
  fs::create_directory_symlink(model(), model() / "circle");
  fs::create_symlink(model() / "itself", model() / "itself");
  EXPECT_TRUE(Changed());
  EXPECT_FALSE(Changed());
  EXPECT_EQ(StampFolder(folder_.path() / "none"), StampFolder(folder_.path() / "neither"));
  EXPECT_EQ(StampFile(folder_.path() / "none"), StampFile(folder_.path() / "neither"));
  EXPECT_NE(StampFile(model() / "itself"), StampFile(folder_.path() / "none")) << "another error";
}

}  // namespace
}  // namespace predictd
