#include "server/model/tensor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

struct CountCase {
  std::vector<int64_t> shape;
  std::optional<int64_t> count;
};

std::ostream& operator<<(std::ostream& out, const CountCase& c) {
  return out << ShapeName(c.shape);
}

class ElementCountTest : public testing::TestWithParam<CountCase> {};

TEST_P(ElementCountTest, IsTheProductOrNothing) {
  EXPECT_EQ(ElementCount(GetParam().shape), GetParam().count) << ShapeName(GetParam().shape);
}

INSTANTIATE_TEST_SUITE_P(Table, ElementCountTest,
                         testing::Values(CountCase{{}, 1}, CountCase{{7}, 7}, CountCase{{2, 3, 4}, 24},
                                         CountCase{{0}, 0}, CountCase{{3, 0, 5}, 0}, CountCase{{-1}, std::nullopt},
                                         CountCase{{0, -1}, std::nullopt}, CountCase{{-1, 0}, std::nullopt},
                                         CountCase{{2, -3}, std::nullopt}, CountCase{{-2, -3}, std::nullopt},
                                         CountCase{{kHuge}, kHuge}, CountCase{{kHuge, 1}, kHuge},
                                         CountCase{{kHuge, 2}, std::nullopt}, CountCase{{2, kHuge}, std::nullopt},
                                         CountCase{{int64_t{1} << 32, int64_t{1} << 31}, std::nullopt},
                                         CountCase{{int64_t{1} << 31, int64_t{1} << 31}, int64_t{1} << 62},
                                         CountCase{{kHuge, kHuge, kHuge}, std::nullopt},
                                         CountCase{{0, kHuge, kHuge}, 0}, CountCase{{kHuge, kHuge, 0}, 0},
                                         CountCase{{kHuge, kHuge, -1}, std::nullopt},
                                         // 2^64 elements, which would wrap to 0.
                                         CountCase{{int64_t{1} << 32, int64_t{1} << 32}, std::nullopt},
                                         CountCase{{std::numeric_limits<int64_t>::min()}, std::nullopt}));

TEST(ShapeNameTest, IsAListInBrackets) {
  EXPECT_EQ(ShapeName({}), "[]");
  EXPECT_EQ(ShapeName({-1, 10}), "[-1,10]");
}

TEST(TensorTest, AllocatedMemoryIsAlignedAndBelongsToTheTensor) {
  for (int64_t elements : {0, 1, 3, 1000}) {
    std::byte* fill = nullptr;
    const Tensor tensor = Tensor::Allocate(DType::kFp64, {elements, 2}, &fill);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % Tensor::kAlignment, 0U);
    EXPECT_EQ(tensor.data(), fill);
    EXPECT_EQ(tensor.elements(), elements * 2);
    EXPECT_EQ(tensor.byte_size(), static_cast<size_t>(elements) * 16);
    std::memset(fill, 1, tensor.byte_size());
  }
}

TEST(TensorTest, CopiesShareTheMemoryAndKeepIt) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
  const std::weak_ptr<std::vector<float>> watched = owner;
  std::optional<Tensor> tensor(std::in_place, DType::kFp32, Shape{2, 2}, owner->data(), owner);
  owner.reset();
  auto copy = std::make_unique<Tensor>(*tensor);
  EXPECT_EQ(copy->data(), tensor->data());
  tensor.reset();
  EXPECT_EQ(Values(*copy), (std::vector<float>{1, 2, 3, 4}));
  copy.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(TensorTest, RowsShareTheMemoryAndKeepIt) {
  std::optional<Tensor> tensor = Floats({4, 3}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  const Tensor rows = tensor->Rows(1, 2);
  EXPECT_EQ(rows.shape(), (Shape{2, 3}));
  EXPECT_EQ(rows.elements(), 6);
  EXPECT_EQ(rows.byte_size(), 24U);
  EXPECT_EQ(rows.data(), tensor->data() + 12);
  tensor.reset();
  EXPECT_EQ(Values(rows), (std::vector<float>{3, 4, 5, 6, 7, 8}));
}

TEST(TensorTest, RowsOfRowsCountFromTheSlice) {
  std::vector<float> values(20);
  std::iota(values.begin(), values.end(), 0.0F);
  const Tensor tensor = Floats({10, 2}, values);
  EXPECT_EQ(Values(tensor.Rows(2, 6).Rows(1, 2)), (std::vector<float>{6, 7, 8, 9}));
}

TEST(TensorTest, EverySliceOfEveryWidthHasItsBytes) {
  for (DType dtype : {DType::kUint8, DType::kFp16, DType::kInt32, DType::kFp64}) {
    const auto width = static_cast<int64_t>(ByteWidth(dtype));
    std::byte* fill = nullptr;
    const Tensor tensor = Tensor::Allocate(dtype, {5, 3}, &fill);
    for (int64_t first = 0; first <= 5; ++first) {
      for (int64_t count = 0; first + count <= 5; ++count) {
        const Tensor rows = tensor.Rows(first, count);
        EXPECT_EQ(rows.data(), fill + first * 3 * width);
        EXPECT_EQ(rows.byte_size(), static_cast<size_t>(count * 3 * width));
      }
    }
  }
}

TEST(TensorTest, RowsOfStringsAreTheStrings) {
  const Tensor tensor = Strings({3, 2}, {"a", "b", "c", "d", "e", "f"});
  EXPECT_EQ(tensor.dtype(), DType::kBytes);
  EXPECT_EQ(tensor.elements(), 6);
  const Tensor rows = tensor.Rows(1, 1);
  EXPECT_EQ(rows.shape(), (Shape{1, 2}));
  ASSERT_EQ(rows.strings().size(), 2U);
  EXPECT_EQ(rows.strings()[0], "c");
  EXPECT_EQ(rows.strings().data(), tensor.strings().data() + 2);
}

TEST(TensorTest, RowsOfAnEmptyTensorAreEmpty) {
  const Tensor tensor(DType::kFp32, {0, 4}, nullptr, nullptr);
  const Tensor rows = tensor.Rows(0, 0);
  EXPECT_EQ(rows.elements(), 0);
  EXPECT_EQ(rows.byte_size(), 0U);
}

TEST(TensorTest, RowsWithoutElementsAreRows) {
  const Tensor tensor(DType::kFp32, {4, 0}, nullptr, nullptr);
  const Tensor rows = tensor.Rows(1, 2);
  EXPECT_EQ(rows.shape(), (Shape{2, 0}));
  EXPECT_EQ(rows.elements(), 0);
}

TEST(TensorTest, AbsentOneHasNothingAndStaysSo) {
  const Tensor absent = Tensor::Absent(DType::kInt64);
  EXPECT_FALSE(absent.present());
  EXPECT_EQ(absent.dtype(), DType::kInt64);
  EXPECT_EQ(absent.byte_size(), 0U);
  EXPECT_TRUE(absent.shape().empty());
  EXPECT_FALSE(absent.Rows(3, 2).present());
  EXPECT_TRUE(Floats({1}, {1}).present());
}

}  // namespace
}  // namespace predictd
