#include "server/engine/batch_buffers.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace predictd {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

Tensor Take(BatchBuffers& buffers, int64_t bytes) {
  std::byte* fill = nullptr;
  Tensor tensor = buffers.Allocate(DType::kUint8, {bytes}, &fill);
  EXPECT_EQ(tensor.data(), fill);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(fill) % Tensor::kAlignment, 0U);
  return tensor;
}

// Takes memory, fills it and returns it. The result is the address where it was.
const std::byte* TakeAndReturn(BatchBuffers& buffers, int64_t bytes) {
  const Tensor tensor = Take(buffers, bytes);
  std::memset(const_cast<std::byte*>(tensor.data()), 0xff, tensor.byte_size());
  return tensor.data();
}

TEST(BatchBuffersTest, MemoryIsUsedAgain) {
  BatchBuffers buffers;
  const std::byte* first = TakeAndReturn(buffers, kMiB);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(TakeAndReturn(buffers, kMiB), first);
  EXPECT_EQ(buffers.free_bytes(), static_cast<size_t>(kMiB));
}

TEST(BatchBuffersTest, MemoryIsNotUsedAgainWhileATensorViewsIt) {
  BatchBuffers buffers;
  std::optional<Tensor> whole = Take(buffers, kMiB);
  const std::byte* data = whole->data();
  std::optional<Tensor> row = whole->Rows(7, 1);
  whole.reset();
  EXPECT_NE(TakeAndReturn(buffers, kMiB), data);
  row.reset();
  EXPECT_EQ(TakeAndReturn(buffers, kMiB), data) << "the one that was used last";
}

TEST(BatchBuffersTest, ThereAreAsManyBlocksAsWereTakenAtOnce) {
  BatchBuffers buffers;
  for (int i = 0; i < 100; ++i) {
    const Tensor a = Take(buffers, kMiB);
    const Tensor b = Take(buffers, kMiB);
  }
  EXPECT_EQ(buffers.free_bytes(), static_cast<size_t>(2 * kMiB));
}

TEST(BatchBuffersTest, SomewhatSmallerBatchTakesTheSameBlock) {
  BatchBuffers buffers;
  const std::byte* large = TakeAndReturn(buffers, kMiB);
  EXPECT_EQ(TakeAndReturn(buffers, kMiB / 4), large);
  EXPECT_NE(TakeAndReturn(buffers, kMiB / 4 - kMiB / 16), large) << "it would hold four times of what it needs";
}

TEST(BatchBuffersTest, SmallestBlockThatFitsIsTaken) {
  BatchBuffers buffers;
  const std::byte* data[2];
  {
    const Tensor small = Take(buffers, kMiB);
    const Tensor large = Take(buffers, 2 * kMiB);
    data[0] = small.data();
    data[1] = large.data();
  }
  EXPECT_EQ(TakeAndReturn(buffers, kMiB), data[0]);
  EXPECT_EQ(TakeAndReturn(buffers, kMiB + 1), data[1]);
}

TEST(BatchBuffersTest, BlockThatNobodyWantsAnyMoreIsGivenUp) {
  BatchBuffers buffers;
  TakeAndReturn(buffers, 16 * kMiB);
  EXPECT_EQ(buffers.free_bytes(), static_cast<size_t>(16 * kMiB));
  for (size_t i = 0; i < 2 * BatchBuffers::kPatience; ++i) TakeAndReturn(buffers, kMiB);
  EXPECT_EQ(buffers.free_bytes(), static_cast<size_t>(kMiB));
}

TEST(BatchBuffersTest, FreeMemoryIsBounded) {
  BatchBuffers buffers(/*max_free_bytes=*/3 * kMiB);
  {
    std::vector<Tensor> taken;
    for (int i = 0; i < 10; ++i) taken.push_back(Take(buffers, kMiB));
    EXPECT_EQ(buffers.free_bytes(), 0U);
  }
  EXPECT_EQ(buffers.free_bytes(), static_cast<size_t>(3 * kMiB));
  TakeAndReturn(buffers, 4 * kMiB);
  EXPECT_EQ(buffers.free_bytes(), static_cast<size_t>(3 * kMiB));
}

TEST(BatchBuffersTest, TensorOutlivesTheBuffers) {
  auto buffers = std::make_unique<BatchBuffers>();
  TakeAndReturn(*buffers, kMiB);
  const Tensor tensor = Take(*buffers, kMiB);
  buffers.reset();
  std::memset(const_cast<std::byte*>(tensor.data()), 1, tensor.byte_size());
  EXPECT_EQ(tensor.data()[kMiB - 1], std::byte{1});
}

TEST(BatchBuffersTest, EmptyTensorHasNoElements) {
  BatchBuffers buffers;
  std::byte* fill = nullptr;
  const Tensor tensor = buffers.Allocate(DType::kFp32, {0, 5}, &fill);
  EXPECT_EQ(tensor.byte_size(), 0U);
}

// Each thread sees only what it wrote itself, although all of them take and return blocks.
TEST(BatchBuffersTest, ThreadsDoNotShareBlocksThatAreTaken) {
  BatchBuffers buffers;
  const auto work = [&buffers](int thread) {
    std::optional<Tensor> kept;
    for (int i = 0; i < 2000; ++i) {
      std::byte* fill = nullptr;
      const Tensor tensor = buffers.Allocate(DType::kUint8, {int64_t{1000} * (i % 7 + 1)}, &fill);
      std::memset(fill, thread, tensor.byte_size());
      kept = tensor.Rows(0, 10);
      std::this_thread::yield();
      for (size_t byte = 0; byte < tensor.byte_size(); byte += 100) {
        ASSERT_EQ(tensor.data()[byte], static_cast<std::byte>(thread));
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace predictd
