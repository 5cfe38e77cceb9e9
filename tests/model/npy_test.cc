#include "server/model/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/fakes/npy_file.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

using testing::HasSubstr;

std::string NpyError(const std::string& file, DType dtype = DType::kFp32) {
  const absl::StatusOr<Tensor> array = ReadNpy(file, dtype);
  EXPECT_EQ(array.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(array.status().message());
}

TEST(NpyTest, ArrayIsReadAsItIs) {
  const absl::StatusOr<Tensor> array = ReadNpy(NpyArray<float>("<f4", "(2, 3)", {1, 2, 3, 4, 5, 6}), DType::kFp32);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->shape(), (Shape{2, 3}));
  EXPECT_EQ(Values(*array), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(NpyTest, NumberHasNoDimensions) {
  const absl::StatusOr<Tensor> array = ReadNpy(NpyArray<float>("<f4", "()", {7}), DType::kFp32);
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_TRUE(array->shape().empty());
  EXPECT_EQ(Values(*array), (std::vector<float>{7}));
}

TEST(NpyTest, EveryTypeHasItsName) {
  const std::pair<const char*, DType> types[] = {
      {"|b1", DType::kBool},   {"|u1", DType::kUint8}, {"<u2", DType::kUint16}, {"<u4", DType::kUint32},
      {"<u8", DType::kUint64}, {"|i1", DType::kInt8},  {"<i2", DType::kInt16},  {"<i4", DType::kInt32},
      {"<i8", DType::kInt64},  {"<f2", DType::kFp16},  {"<f4", DType::kFp32},   {"<f8", DType::kFp64},
      {"<V2", DType::kBf16}};
  for (const auto& [descr, dtype] : types) {
    const std::vector<uint8_t> bytes(2 * ByteWidth(dtype), 1);
    const absl::StatusOr<Tensor> array = ReadNpy(NpyArray(descr, "(2,)", bytes), dtype);
    ASSERT_TRUE(array.ok()) << descr << ": " << array.status();
    EXPECT_EQ(array->dtype(), dtype);
    EXPECT_EQ(array->shape(), (Shape{2}));
  }
  EXPECT_EQ(NpyError(NpyArray<double>("<f8", "(1,)", {1})),
            "expected FP32, which NumPy names '<f4', got '<f8': save array.astype('<f4')");
  EXPECT_THAT(NpyError(NpyArray<float>(">f4", "(1,)", {1})), HasSubstr("got '>f4'"));
  EXPECT_THAT(NpyError(NpyArray<double>("<f8", "(1,)", {1}), DType::kBytes), HasSubstr("cannot hold BYTES"));
}

TEST(NpyTest, Bf16MayBeStoredAsFloats) {
  const absl::StatusOr<Tensor> array = ReadNpy(NpyArray<float>("<f4", "(2,)", {1, -2}), DType::kBf16);
  ASSERT_TRUE(array.ok()) << array.status();
  const auto* const bits = reinterpret_cast<const uint16_t*>(array->data());
  EXPECT_EQ(bits[0], 0x3f80);
  EXPECT_EQ(bits[1], 0xc000);
}

TEST(NpyTest, LaterFormatVersionsHaveLongerLengths) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}";
  std::string file = std::string("\x93NUMPY\x02\x00", 8) + static_cast<char>(header.size()) + std::string(3, '\0');
  file += header + std::string(4, '\0');
  EXPECT_TRUE(ReadNpy(file, DType::kFp32).ok()) << ReadNpy(file, DType::kFp32).status();
  file[6] = 4;
  EXPECT_THAT(NpyError(file), HasSubstr("version 4 is not 1, 2 or 3"));
}

TEST(NpyTest, EveryBeginningOfAFileIsCutOff) {
  const std::string file = NpyArray<float>("<f4", "(1, 2)", {1, 2});
  for (size_t size = 0; size < file.size(); ++size) NpyError(file.substr(0, size));
  EXPECT_THAT(NpyError(file.substr(0, 20)), HasSubstr("cut off"));
  EXPECT_THAT(NpyError(file + "x"), HasSubstr("9 bytes, which are not those of FP32 [1,2]"));
}

TEST(NpyTest, ShapesThatLieAreErrors) {
  for (const char* shape :
       {"(3,)", "(0,)", "(4611686018427387904,)", "(9223372036854775807, 4)", "(65536, 65536, 65536, 65536)"}) {
    EXPECT_THAT(NpyError(NpyArray<float>("<f4", shape, {1, 2})), HasSubstr("which are not those of FP32")) << shape;
  }
  for (const char* shape : {"(-1,)", "(99999999999999999999,)", "(1 2)", "(1,", "2", "(,)", "None"}) {
    EXPECT_THAT(NpyError(NpyArray<float>("<f4", shape, {1, 2})), HasSubstr("not that of a plain array")) << shape;
  }
  std::string many = "(";
  for (int i = 0; i < 65; ++i) many += "1,";
  EXPECT_THAT(NpyError(NpyArray<float>("<f4", many + ")", {1})), HasSubstr("not that of a plain array"));
}

TEST(NpyTest, HeadersThatAreNotThoseOfAnArrayAreErrors) {
  for (const char* header :
       {"", "{}", "[]", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "{'descr': '<f4, 'fortran_order': False",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}"}) {
    EXPECT_THAT(NpyError(NpyFile(header, "1234")), HasSubstr("not that of a plain array")) << header;
  }
  EXPECT_THAT(NpyError("PK\x03\x04 a zip file"), HasSubstr("it is no .npy file"));
}

TEST(NpyTest, OtherOrdersAndOtherTruthsAreErrors) {
  const std::string elements(8, '\0');
  EXPECT_THAT(NpyError(NpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}", elements)),
              HasSubstr("numpy.ascontiguousarray"));
  EXPECT_TRUE(ReadNpy(NpyFile("{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}", elements), DType::kFp32).ok());
  EXPECT_THAT(NpyError(NpyArray<uint8_t>("|b1", "(2,)", {1, 2}), DType::kBool), HasSubstr("neither 0 nor 1"));
}

}  // namespace
}  // namespace predictd
