#include "client/predictctl/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "client/predictctl/cast.h"
#include "client/predictctl/print_tensor.h"
#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// An .npy file of format version 1, 2 or 3 with the given header and elements, unchanged.
std::string File(int version, const std::string& header, const std::string& elements) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  for (int byte = 0; byte < (version == 1 ? 2 : 4); ++byte)
    file += static_cast<char>(header.size() >> (8 * byte) & 0xff);
  return file + header + elements;
}

std::string Header(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

std::string MessageFor(const std::string& file) {
  const absl::StatusOr<v1::Tensor> tensor = ParseNpy(file);
  EXPECT_TRUE(absl::IsInvalidArgument(tensor.status())) << tensor.status();
  return std::string(tensor.status().message());
}

// 1.0f and -2.0f.
const std::string kTwoFloats("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8);

TEST(NpyTest, ReadsEveryFormatVersion) {
  for (const int version : {1, 2, 3}) {
    const absl::StatusOr<v1::Tensor> tensor = ParseNpy(File(version, Header("<f4", "(1, 2)") + "   \n", kTwoFloats));
    ASSERT_TRUE(tensor.ok()) << version << ": " << tensor.status();
    EXPECT_THAT(tensor->shape(), ElementsAre(1, 2));
    EXPECT_THAT(*TensorValues<float>(*tensor), ElementsAre(1, -2));
  }
}

TEST(NpyTest, ReadsEveryElementType) {
  const struct {
    const char* descr;
    v1::DataType type;
    std::size_t width;
  } kCases[] = {
      {"|b1", v1::DATA_TYPE_BOOL, 1},   {"|u1", v1::DATA_TYPE_UINT8, 1},  {"<u1", v1::DATA_TYPE_UINT8, 1},
      {"<u2", v1::DATA_TYPE_UINT16, 2}, {"<u4", v1::DATA_TYPE_UINT32, 4}, {"<u8", v1::DATA_TYPE_UINT64, 8},
      {"|i1", v1::DATA_TYPE_INT8, 1},   {"<i2", v1::DATA_TYPE_INT16, 2},  {"<i4", v1::DATA_TYPE_INT32, 4},
      {"<i8", v1::DATA_TYPE_INT64, 8},  {"<f2", v1::DATA_TYPE_FP16, 2},   {"<f4", v1::DATA_TYPE_FP32, 4},
      {"<f8", v1::DATA_TYPE_FP64, 8},
  };
  for (const auto& test : kCases) {
    const std::string elements(3 * test.width, '\1');
    const absl::StatusOr<v1::Tensor> tensor = ParseNpy(File(1, Header(test.descr, "(3,)"), elements));
    ASSERT_TRUE(tensor.ok()) << test.descr << ": " << tensor.status();
    EXPECT_EQ(tensor->dtype(), test.type) << test.descr;
    EXPECT_EQ(tensor->raw(), elements) << test.descr;
  }
}

TEST(NpyTest, ReadsScalarsAndEmptyArrays) {
  EXPECT_THAT(ParseNpy(File(1, Header("|u1", "()"), "\x07"))->shape(), ElementsAre());
  EXPECT_THAT(ParseNpy(File(1, Header("<f4", "(0, 3)"), ""))->shape(), ElementsAre(0, 3));
}

TEST(NpyTest, ReadsWhatOtherWritersPutInTheHeader) {
  const std::string header = "{\"shape\":(2L,),\"descr\":\"<f4\",\"fortran_order\":True}";
  const absl::StatusOr<v1::Tensor> tensor = ParseNpy(File(1, header, kTwoFloats));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->shape(), ElementsAre(2));
}

TEST(NpyTest, EveryPrefixOfAFileIsRefused) {
  const std::string file = File(2, Header("<f4", "(1, 2)"), kTwoFloats);
  ASSERT_TRUE(ParseNpy(file).ok());
  for (std::size_t length = 0; length < file.size(); ++length) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseNpy(file.substr(0, length)).status())) << length;
  }
}

TEST(NpyTest, ElementsMustFillTheShapeExactly) {
  EXPECT_THAT(MessageFor(File(1, Header("<f4", "(1, 3)"), kTwoFloats)), HasSubstr("FP32[1,3] has 12 bytes"));
  EXPECT_THAT(MessageFor(File(1, Header("<f4", "(1, 2)"), kTwoFloats + "x")), HasSubstr("the file holds 9"));
}

TEST(NpyTest, UnsupportedArraysAreRefusedWithAdvice) {
  EXPECT_THAT(MessageFor(File(1, Header("<f4", "(1, 2)", "True"), kTwoFloats)), HasSubstr("numpy.ascontiguousarray"));
  EXPECT_THAT(MessageFor(File(1, Header(">f4", "(1, 2)"), kTwoFloats)), HasSubstr("astype('<f4')"));
  EXPECT_THAT(MessageFor(File(1, Header("|O", "(1, 2)"), kTwoFloats)), HasSubstr("Python objects"));
  EXPECT_THAT(MessageFor(File(1, Header("<c8", "(1,)"), kTwoFloats)), HasSubstr("'<c8' is not supported"));
  EXPECT_THAT(MessageFor(File(1, Header("<U2", "(1,)"), kTwoFloats)), HasSubstr("'<U2' is not supported"));
  EXPECT_THAT(MessageFor(File(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", kTwoFloats)),
              HasSubstr("structured"));
  EXPECT_THAT(MessageFor(File(4, Header("<f4", "(1, 2)"), kTwoFloats)), HasSubstr("version 4"));
}

TEST(NpyTest, ShapesThatOverflowAreRefused) {
  EXPECT_THAT(MessageFor(File(1, Header("<f4", "(4611686018427387904, 4)"), kTwoFloats)), HasSubstr("too many"));
  EXPECT_THAT(MessageFor(File(1, Header("<f8", "(2305843009213693952,)"), kTwoFloats)), HasSubstr("too many"));
  EXPECT_THAT(MessageFor(File(1, Header("<f4", "(99999999999999999999,)"), kTwoFloats)), HasSubstr("'shape'"));
  EXPECT_THAT(MessageFor(File(1, Header("<f4", "(-1, 2)"), kTwoFloats)), HasSubstr("'shape'"));
}

TEST(NpyTest, MoreDimensionsThanNumPyHasAreRefused) {
  std::string extents;
  for (int i = 0; i < 64; ++i) extents += "1,";
  EXPECT_EQ(ParseNpy(File(2, Header("|u1", "(" + extents + ")"), "x"))->shape_size(), 64);
  EXPECT_THAT(MessageFor(File(2, Header("|u1", "(" + extents + "1)"), "x")), HasSubstr("up to 64 extents"));
}

TEST(NpyTest, MalformedHeadersAreRefused) {
  const char* const kHeaders[] = {
      "",
      "[]",
      "{",
      "{}",
      "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,}",
      "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}",
      "{'descr' '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': 4, 'fortran_order': False, 'shape': (2,)}",
  };
  for (const char* header : kHeaders) {
    EXPECT_THAT(MessageFor(File(1, header, kTwoFloats)), StartsWith("malformed .npy header")) << header;
  }
}

TEST(NpyTest, OtherFilesAreNotTakenForArrays) {
  EXPECT_FALSE(LooksLikeNpy("[[1, 2]]"));
  EXPECT_THAT(MessageFor("PK\x03\x04"), HasSubstr("not an .npy file"));
}

TEST(NpyTest, WritesWhatItReads) {
  const std::vector<std::vector<std::int64_t>> shapes = {{}, {1}, {1, 1}, {1, 1, 1}};
  for (const auto& shape : shapes) {
    const v1::Tensor tensor = *MakeTensor<std::int16_t>("", shape, {-300});
    const absl::StatusOr<std::string> file = FormatNpy(tensor);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((file->size() - 2) % 64, 0) << "elements start at a multiple of 64";
    EXPECT_EQ(ParseNpy(*file)->SerializeAsString(), tensor.SerializeAsString());
  }
}

TEST(NpyTest, WritesTypedTensorsAndWidensBFloat16) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DATA_TYPE_BF16);
  tensor.add_shape(2);
  tensor.add_float_values(1.5);
  tensor.add_float_values(-2);
  const absl::StatusOr<v1::Tensor> read = ParseNpy(*FormatNpy(tensor));
  EXPECT_THAT(*TensorValues<float>(*read), ElementsAre(1.5, -2));
}

TEST(NpyTest, BytesCannotBeWritten) {
  EXPECT_TRUE(absl::IsInvalidArgument(FormatNpy(*MakeBytesTensor("text", {1}, {"a"})).status()));
}

// What fuzzing has found: files that can be read, and what went wrong with them later.
TEST(NpyTest, FilesThatFuzzersFoundCanBeUsed) {
  const struct {
    const char* found;
    std::string file;
    const char* printed;
  } kCases[] = {
      {"bytes of bool that are neither 0 nor 1", File(1, Header("|b1", "(3,)"), std::string("\0\1\xf7", 3)),
       "[false,  true,  true]"},
      {"an array without elements", File(1, Header("<f4", "(0, 1, 8, 8)"), ""), "[]"},
  };
  for (const auto& test : kCases) {
    const absl::StatusOr<v1::Tensor> tensor = ParseNpy(test.file);
    ASSERT_TRUE(tensor.ok()) << test.found;
    EXPECT_EQ(*TensorText(*tensor, {}, {}), test.printed) << test.found;
    v1::Tensor typed = *tensor;
    EXPECT_TRUE(EncodeTyped(typed).ok()) << test.found;
    EXPECT_EQ(*TensorText(*CastTensor(*tensor, v1::DATA_TYPE_BOOL), {}, {}), test.printed) << test.found;
    EXPECT_TRUE(absl::IsInvalidArgument(CastTensor(*tensor, v1::DATA_TYPE_BYTES).status())) << test.found;
  }
}

}  // namespace
}  // namespace predictd
