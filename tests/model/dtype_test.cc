#include "server/model/dtype.h"

#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

struct DTypeCase {
  DType dtype;
  const char* name;
  size_t width;
};

std::ostream& operator<<(std::ostream& out, const DTypeCase& c) {
  return out << c.name;
}

class DTypeTest : public testing::TestWithParam<DTypeCase> {};

TEST_P(DTypeTest, HasItsNameAndWidth) {
  EXPECT_EQ(DTypeName(GetParam().dtype), GetParam().name);
  EXPECT_EQ(ByteWidth(GetParam().dtype), GetParam().width);
  EXPECT_EQ(ParseDType(GetParam().name), GetParam().dtype);
}

INSTANTIATE_TEST_SUITE_P(Table, DTypeTest,
                         testing::Values(DTypeCase{DType::kBool, "BOOL", 1}, DTypeCase{DType::kUint8, "UINT8", 1},
                                         DTypeCase{DType::kUint16, "UINT16", 2}, DTypeCase{DType::kUint32, "UINT32", 4},
                                         DTypeCase{DType::kUint64, "UINT64", 8}, DTypeCase{DType::kInt8, "INT8", 1},
                                         DTypeCase{DType::kInt16, "INT16", 2}, DTypeCase{DType::kInt32, "INT32", 4},
                                         DTypeCase{DType::kInt64, "INT64", 8}, DTypeCase{DType::kFp16, "FP16", 2},
                                         DTypeCase{DType::kBf16, "BF16", 2}, DTypeCase{DType::kFp32, "FP32", 4},
                                         DTypeCase{DType::kFp64, "FP64", 8}, DTypeCase{DType::kBytes, "BYTES", 0}),
                         [](const testing::TestParamInfo<DTypeCase>& info) { return info.param.name; });

TEST(DTypeNamesTest, NothingElseIsAName) {
  for (const char* name : {"", "fp32", "FLOAT", "FP", "FP128", "INT", "FP32 ", "STRING"}) {
    EXPECT_FALSE(ParseDType(name).has_value()) << '\'' << name << '\'';
  }
}

}  // namespace
}  // namespace predictd
