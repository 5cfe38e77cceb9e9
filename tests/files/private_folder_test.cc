#include "server/files/private_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

size_t Children(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(PrivateFolderTest, IsForItsUserAloneAndGoesWithTheObject) {
  const TempFolder parent;
  {
    const absl::StatusOr<PrivateFolder> folder = PrivateFolder::Create(parent.path());
    ASSERT_TRUE(folder.ok()) << folder.status();
    struct stat status {};
    ASSERT_EQ(stat(folder->path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    std::ofstream(folder->path() / "file") << "content";
  }
  EXPECT_EQ(Children(parent.path()), 0);
}

TEST(PrivateFolderTest, MovesWithItsFolder) {
  const TempFolder parent;
  absl::StatusOr<PrivateFolder> folder = PrivateFolder::Create(parent.path());
  ASSERT_TRUE(folder.ok()) << folder.status();
  const PrivateFolder moved = *std::move(folder);
  folder = absl::CancelledError();
  EXPECT_TRUE(fs::exists(moved.path()));
}

TEST(PrivateFolderTest, WhereNoneCanBeMadeTheSystemSaysWhy) {
  EXPECT_EQ(PrivateFolder::Create("/proc/nowhere").status(), absl::UnavailableError("No such file or directory"));
}

TEST(PrivateFolderTest, WhatAKilledProcessLeftIsRemovedAndWhatALivingOneHasIsNot) {
  const TempFolder parent;
  const absl::StatusOr<PrivateFolder> living = PrivateFolder::Create(parent.path());
  ASSERT_TRUE(living.ok()) << living.status();
  const pid_t child = fork();
  if (child == 0) {
    const absl::StatusOr<PrivateFolder> left = PrivateFolder::Create(parent.path());
    if (left.ok()) std::ofstream(left->path() / "file") << "content";
    _exit(left.ok() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  fs::create_directory(parent.path() / "others");
  ASSERT_EQ(Children(parent.path()), 3);
  EXPECT_EQ(RemoveLeftFolders(parent.path()), 1);
  EXPECT_EQ(Children(parent.path()), 2);
  EXPECT_TRUE(fs::exists(living->path()));
}

TEST(PrivateFolderTest, AFolderThatIsNotThereHasNothingLeft) {
  EXPECT_EQ(RemoveLeftFolders("/proc/nowhere"), 0);
}

}  // namespace
}  // namespace predictd
