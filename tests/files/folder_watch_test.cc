#include "server/files/folder_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class FolderWatchTest : public testing::Test {
 protected:
  FolderWatchTest() {
    folder_.Write("a/file", "x");
    folder_.Write("b/file", "x");
    watch_.Watch({folder_.path() / "a"});
    // What is there already is no change.
    EXPECT_FALSE(Told());
  }

  // Whether the watch has told of anything since the last time.
  bool Told() {
    constexpr milliseconds kLong(200);
    const auto start = steady_clock::now();
    watch_.Wait(kLong);
    return steady_clock::now() - start < kLong;
  }

  const TempFolder folder_;
  FolderWatch watch_;
};

TEST_F(FolderWatchTest, TellsOfChangesOnce) {
  folder_.Write("a/file", "y");
  EXPECT_TRUE(Told());
  EXPECT_FALSE(Told());
  folder_.Write("a/other", "y");
  fs::rename(folder_.path() / "a/other", folder_.path() / "a/third");
  fs::remove(folder_.path() / "a/third");
  EXPECT_TRUE(Told());
  EXPECT_FALSE(Told()) << "several changes are told together";
}

TEST_F(FolderWatchTest, WatchesOnlyTheFoldersOfTheLastCall) {
  folder_.Write("b/file", "y");
  EXPECT_FALSE(Told());
  watch_.Watch({folder_.path() / "b", folder_.path() / "none"});
  // The system also tells of the end of a watch.
  Told();
  folder_.Write("a/file", "y");
  EXPECT_FALSE(Told());
  folder_.Write("b/file", "z");
  EXPECT_TRUE(Told());
}

TEST_F(FolderWatchTest, WatchesTheFolderThatHasTakenThePlaceOfAnother) {
  fs::rename(folder_.path() / "a", folder_.path() / "c");
  fs::rename(folder_.path() / "b", folder_.path() / "a");
  EXPECT_TRUE(Told()) << "it is gone";
  watch_.Watch({folder_.path() / "a"});
  Told();
  folder_.Write("a/file", "y");
  EXPECT_TRUE(Told());
}

TEST_F(FolderWatchTest, IsWokenByAnyThread) {
  std::thread waker([this] { watch_.Wake(); });
  watch_.Wait(std::chrono::hours(24));
  waker.join();
  for (int i = 0; i < 1000; ++i) watch_.Wake();
  EXPECT_TRUE(Told());
  EXPECT_FALSE(Told());
}

}  // namespace
}  // namespace predictd
