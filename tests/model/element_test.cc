#include "server/model/element.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <variant>

namespace predictd {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct ElementCase {
  DType dtype;
  std::variant<int64_t, double> value;
  // The bits, least significant byte first; nullopt if the type cannot hold it.
  std::optional<uint64_t> bits;
};

std::ostream& operator<<(std::ostream& out, const ElementCase& c) {
  out << DTypeName(c.dtype) << ' ';
  std::visit([&out](auto value) { out << value; }, c.value);
  return out;
}

class ElementTest : public testing::TestWithParam<ElementCase> {};

TEST_P(ElementTest, HasTheBitsOfTheType) {
  const ElementCase& c = GetParam();
  const std::optional<ElementBytes> element =
      std::visit([&c](auto value) { return ToElement(c.dtype, value); }, c.value);
  ASSERT_EQ(element.has_value(), c.bits.has_value());
  if (!element.has_value()) return;
  uint64_t bits = 0;
  std::memcpy(&bits, element->data(), sizeof(bits));
  EXPECT_EQ(bits, *c.bits);
}

const ElementCase kElementCases[] = {
    {DType::kBool, int64_t{0}, 0},
    {DType::kBool, int64_t{1}, 1},
    {DType::kBool, int64_t{2}, std::nullopt},
    {DType::kBool, int64_t{-1}, std::nullopt},
    {DType::kUint8, int64_t{255}, 255},
    {DType::kUint8, int64_t{256}, std::nullopt},
    {DType::kUint8, int64_t{-1}, std::nullopt},
    {DType::kUint16, int64_t{65535}, 65535},
    {DType::kUint32, int64_t{4294967295}, 4294967295},
    {DType::kUint32, int64_t{4294967296}, std::nullopt},
    {DType::kUint64, int64_t{-1}, std::nullopt},
    {DType::kInt8, int64_t{-128}, 0x80},
    {DType::kInt8, int64_t{128}, std::nullopt},
    {DType::kInt16, int64_t{-1}, 0xffff},
    {DType::kInt32, int64_t{-2}, 0xfffffffe},
    {DType::kInt64, int64_t{-1}, 0xffffffffffffffff},
    {DType::kInt64, 3.0, 3},
    {DType::kInt64, 3.5, std::nullopt},
    {DType::kInt64, 1e300, std::nullopt},
    {DType::kInt64, kInfinity, std::nullopt},
    {DType::kInt64, std::nan(""), std::nullopt},
    {DType::kBool, 1.0, 1},
    {DType::kFp16, int64_t{1}, 0x3c00},
    {DType::kFp16, 65504.0, 0x7bff},
    {DType::kFp16, 65536.0, std::nullopt},
    {DType::kFp16, -kInfinity, 0xfc00},
    {DType::kBf16, int64_t{1}, 0x3f80},
    {DType::kBf16, -1e30, 0xf14a},
    {DType::kBf16, 1e300, std::nullopt},
    {DType::kFp32, int64_t{1}, 0x3f800000},
    {DType::kFp32, 1e300, std::nullopt},
    {DType::kFp32, kInfinity, 0x7f800000},
    {DType::kFp64, int64_t{1}, 0x3ff0000000000000},
    {DType::kFp64, -0.5, 0xbfe0000000000000},
    {DType::kBytes, int64_t{0}, std::nullopt},
    {DType::kBytes, 0.0, std::nullopt},
};

INSTANTIATE_TEST_SUITE_P(Table, ElementTest, testing::ValuesIn(kElementCases));

}  // namespace
}  // namespace predictd
