#include "server/services/shared_memory_regions.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/shared_object.h"

namespace predictd {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

std::string Read(const SharedMemoryRegion& region, uint64_t offset, size_t bytes) {
  std::string content(bytes, '?');
  const absl::Status status = region.Read(offset, {reinterpret_cast<std::byte*>(content.data()), bytes});
  return status.ok() ? content : std::string(status.message());
}

absl::Status Write(const SharedMemoryRegion& region, uint64_t offset, const std::string& content) {
  return region.Write(offset, {reinterpret_cast<const std::byte*>(content.data()), content.size()});
}

TEST(SharedMemoryRegionsTest, APartOfAnObjectIsReadAndWritten) {
  SharedObject object("0123456789");
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  ASSERT_TRUE(regions.Register("mine", object.key(), 2, 6).ok());
  const auto region = regions.Find("mine");
  ASSERT_NE(region, nullptr);
  EXPECT_EQ(region->key(), object.key());
  EXPECT_EQ(region->offset(), 2);
  EXPECT_EQ(region->byte_size(), 6);
  EXPECT_EQ(Read(*region, 0, 6), "234567");
  EXPECT_EQ(Read(*region, 5, 1), "7");
  EXPECT_EQ(Read(*region, 6, 0), "");
  ASSERT_TRUE(Write(*region, 1, "abc").ok());
  EXPECT_EQ(object.content(), "012abc6789");
}

TEST(SharedMemoryRegionsTest, NamesAreTakenOnceAndFreed) {
  SharedObject object("0123456789");
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  EXPECT_EQ(regions.Find("mine"), nullptr);
  ASSERT_TRUE(regions.Register("mine", object.key(), 0, 10).ok());
  EXPECT_EQ(regions.Register("mine", object.key(), 0, 5).code(), StatusCode::kAlreadyExists);
  ASSERT_TRUE(regions.Register("yours", object.key(), 5, 5).ok()) << "two regions of one object";
  EXPECT_EQ(regions.all().size(), 2);
  regions.Unregister("nobody's");
  regions.Unregister("mine");
  EXPECT_EQ(regions.Find("mine"), nullptr);
  EXPECT_TRUE(regions.Register("mine", object.key(), 0, 5).ok());
  regions.Unregister("");
  EXPECT_TRUE(regions.all().empty());
}

TEST(SharedMemoryRegionsTest, WrongNamesAndKeysAreRefused) {
  SharedObject object("0123456789");
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  EXPECT_EQ(regions.Register("", object.key(), 0, 1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(regions.Register(std::string(257, 'n'), object.key(), 0, 1).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(regions.Register(std::string(256, 'n'), object.key(), 0, 1).ok());
  const std::string& key = object.key();
  for (const std::string& wrong :
       {std::string(), std::string("/"), std::string("//"), std::string("/."), std::string("/.."), std::string(".."),
        "/" + key, "/." + key, "/../etc/passwd" + key, key + "/", "/x" + key, key + '\0', key + std::string("\0/x", 3),
        "/" + std::string(300, 'k')}) {
    const absl::Status status = regions.Register("mine", wrong, 0, 1);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("key: expected the name")) << wrong;
  }
  const absl::Status unknown = regions.Register("mine", key + "x", 0, 1);
  EXPECT_EQ(unknown.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("cannot be opened: No such file or directory"));
  EXPECT_TRUE(regions.Register("mine", key.substr(1), 0, 1).ok()) << "shm_open takes names without a slash, too";
}

TEST(SharedMemoryRegionsTest, WhatIsNoSharedMemoryIsRefused) {
  const SharedObject object("");
  const std::string path = "/dev/shm" + object.key() + "-pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0) << path;
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  const absl::Status status = regions.Register("mine", object.key() + "-pipe", 0, 1);
  unlink(path.c_str());
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("expected shared memory"));
}

// Compares with the arithmetic of a wider type.
TEST(SharedMemoryRegionsTest, NothingOutsideOfTheObjectIsRegistered) {
  constexpr uint64_t kSize = 10'000;
  SharedObject object(std::string(kSize, 'x'));
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  std::mt19937_64 random(7);
  const auto some = [&]() -> uint64_t {
    constexpr uint64_t kNear[] = {0, kSize, uint64_t{1} << 31, uint64_t{1} << 32, uint64_t{1} << 63, kMost};
    const uint64_t near = kNear[random() % std::size(kNear)];
    return near + random() % 5 - 2;
  };
  for (int i = 0; i < 3'000; ++i) {
    const uint64_t offset = random() % 2 == 0 ? some() : random() % kSize;
    const uint64_t byte_size = random() % 2 == 0 ? some() : random() % kSize;
    const bool right = byte_size > 0 && static_cast<unsigned __int128>(offset) + byte_size <= kSize;
    const absl::Status status = regions.Register("mine", object.key(), offset, byte_size);
    ASSERT_EQ(status.ok(), right) << offset << " " << byte_size << " " << status;
    if (!right) continue;
    const auto region = regions.Find("mine");
    for (int j = 0; j < 20; ++j) {
      const uint64_t from = random() % 2 == 0 ? some() : random() % kSize;
      const uint64_t bytes = random() % 2 == 0 ? some() : random() % kSize;
      const bool has = static_cast<unsigned __int128>(from) + bytes <= byte_size;
      ASSERT_EQ(region->Has(from, bytes), has) << from << " " << bytes << " of " << byte_size;
      if (has) {
        ASSERT_EQ(Read(*region, from, bytes), std::string(bytes, 'x'));
      }
    }
    regions.Unregister("mine");
  }
}

TEST(SharedMemoryRegionsTest, AnObjectThatHasShrunkIsAnErrorAndNothingElse) {
  SharedObject object(std::string(20'000, 'x'));
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  ASSERT_TRUE(regions.Register("mine", object.key(), 0, 20'000).ok());
  const auto region = regions.Find("mine");
  object.Resize(5'000);
  EXPECT_EQ(Read(*region, 0, 5'000), std::string(5'000, 'x')) << "what is still there can be read";
  EXPECT_THAT(Read(*region, 0, 5'001), HasSubstr("has become smaller"));
  EXPECT_THAT(Read(*region, 19'999, 1), HasSubstr("has become smaller"));
  EXPECT_EQ(Write(*region, 0, "y").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Write(*region, 19'999, "y").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(object.size(), 5'000) << "writing made it longer";
  object.Resize(20'000);
  EXPECT_EQ(Read(*region, 5'000, 1), std::string(1, '\0'));
  EXPECT_TRUE(Write(*region, 19'999, "y").ok());
}

TEST(SharedMemoryRegionsTest, WhoHasARegionKeepsItAndWhatWasRemoved) {
  SharedObject object("0123456789");
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  ASSERT_TRUE(regions.Register("mine", object.key(), 0, 10).ok());
  const auto region = regions.Find("mine");
  object.Remove();
  EXPECT_EQ(regions.Find("mine"), region);
  regions.Unregister("mine");
  EXPECT_EQ(Read(*region, 0, 10), "0123456789");
  EXPECT_TRUE(Write(*region, 0, "y").ok());
}

TEST(SharedMemoryRegionsTest, ThereIsNoRoomForMoreThanTheLimits) {
  SharedObject object(std::string(100, 'x'));
  Reaper reaper;
  SharedMemoryRegions regions({.regions = 3, .bytes = 350}, reaper);
  SharedObject large(std::string(151, 'x'));
  ASSERT_TRUE(regions.Register("a", object.key(), 0, 100).ok());
  ASSERT_TRUE(regions.Register("b", object.key(), 0, 1).ok());
  const absl::Status bytes = regions.Register("c", large.key(), 0, 1);
  EXPECT_EQ(bytes.code(), StatusCode::kResourceExhausted)
      << "the whole object counts, which stays while it is registered";
  EXPECT_THAT(std::string(bytes.message()), HasSubstr("350 bytes, and 150 are left"));
  regions.Unregister("a");
  ASSERT_TRUE(regions.Register("c", large.key(), 0, 1).ok());
  regions.Unregister("c");
  ASSERT_TRUE(regions.Register("d", object.key(), 0, 1).ok());
  ASSERT_TRUE(regions.Register("e", object.key(), 0, 1).ok());
  EXPECT_THAT(std::string(regions.Register("f", object.key(), 0, 1).message()), HasSubstr("there are 3 regions"));
  regions.Unregister("");
  EXPECT_TRUE(regions.Register("a", object.key(), 0, 100).ok());
}

// A lease makes whoever opens the object wait until it is given up, for up to 45 s.
TEST(SharedMemoryRegionsTest, LeaseHoldsNobodyUp) {
  struct sigaction ignored {};
  ignored.sa_handler = SIG_IGN;
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGIO, &ignored, &before), 0);
  const std::string key = absl::StrCat("/predictd-lease-", getpid());
  const int owner = shm_open(key.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(owner, 0);
  ASSERT_EQ(ftruncate(owner, 10), 0);
  if (fcntl(owner, F_SETLEASE, F_WRLCK) == 0) {
    Reaper reaper;
    SharedMemoryRegions regions({}, reaper);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(regions.Register("a", key, 0, 10).code(), StatusCode::kInvalidArgument);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
    fcntl(owner, F_SETLEASE, F_UNLCK);
    EXPECT_TRUE(regions.Register("a", key, 0, 10).ok());
  }
  close(owner);
  shm_unlink(key.c_str());
  sigaction(SIGIO, &before, nullptr);
}

// The object shrinks and grows, and the region comes and goes, under those who use it.
TEST(SharedMemoryRegionsTest, ThreadsMayDoAllAtOnce) {
  constexpr size_t kSize = size_t{64} * 1024;
  SharedObject object(std::string(kSize, 'x'));
  Reaper reaper;
  SharedMemoryRegions regions({}, reaper);
  std::atomic<bool> over{false};
  std::atomic<int> read{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!over) {
        const auto region = regions.Find("mine");
        if (region == nullptr) continue;
        const std::string content = Read(*region, 0, kSize);
        ++(content.size() == kSize ? read : failed);
        (void)Write(*region, kSize / 2, "yy");
      }
    });
  }
  threads.emplace_back([&] {
    while (!over) {
      (void)regions.Register("mine", object.key(), 0, kSize);
      std::this_thread::yield();
      regions.Unregister("mine");
    }
  });
  for (int i = 0; i < 100'000 && (i < 500 || read < 10 || failed < 10); ++i) {
    object.Resize(i % 2 == 0 ? 100 : kSize);
    std::this_thread::yield();
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(read, 10);
  EXPECT_GE(failed, 10);
}

}  // namespace
}  // namespace predictd
