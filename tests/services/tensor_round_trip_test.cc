#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/services/tensor_codec.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

struct RoundTripCase {
  DType dtype;
  // The elements as little-endian bytes.
  std::string raw;
  // The same as typed values in the text format of protobuf.
  const char* typed;
  // Whether a typed message is viewed instead of copied.
  bool viewed = false;
};

std::ostream& operator<<(std::ostream& out, const RoundTripCase& c) {
  return out << DTypeName(c.dtype);
}

class RoundTrip : public testing::TestWithParam<RoundTripCase> {
 protected:
  int64_t elements() const { return static_cast<int64_t>(GetParam().raw.size() / ByteWidth(GetParam().dtype)); }
  TensorSpec spec() const { return {"x", GetParam().dtype, {-1}}; }

  // The message as a caller would send it, its elements not included.
  v1::Tensor Header() const {
    v1::Tensor message;
    message.set_name("x");
    message.set_dtype(ToProto(GetParam().dtype));
    message.add_shape(elements());
    return message;
  }

  v1::Tensor Typed() const {
    v1::Tensor values;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(GetParam().typed, &values));
    v1::Tensor message = Header();
    message.MergeFrom(values);
    return message;
  }

  static std::string Bytes(const Tensor& tensor) {
    return std::string(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
  }

  FieldErrors errors_;
};

TEST_P(RoundTrip, TypedValuesBecomeTheElementsAndReturnTheSame) {
  const auto message = std::make_shared<v1::Tensor>(Typed());
  const std::optional<Tensor> tensor = DecodeTensor(*message, spec(), message, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  EXPECT_EQ(tensor->dtype(), GetParam().dtype);
  EXPECT_EQ(tensor->shape(), Shape{elements()});
  EXPECT_EQ(Bytes(*tensor), GetParam().raw);

  v1::Tensor encoded;
  EncodeTensor(*tensor, "x", EncodingOf(*message), encoded);
  EXPECT_EQ(encoded.ShortDebugString(), message->ShortDebugString());
}

TEST_P(RoundTrip, RawBytesAreTheElementsAndReturnTheSame) {
  const auto message = std::make_shared<v1::Tensor>(Header());
  message->set_raw(GetParam().raw);
  const std::optional<Tensor> tensor = DecodeTensor(*message, spec(), message, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  EXPECT_EQ(Bytes(*tensor), GetParam().raw);
  EXPECT_EQ(reinterpret_cast<const char*>(tensor->data()), message->raw().data()) << "copied";

  v1::Tensor encoded;
  EncodeTensor(*tensor, "x", EncodingOf(*message), encoded);
  EXPECT_EQ(encoded.ShortDebugString(), message->ShortDebugString());
}

TEST_P(RoundTrip, TypeAndShapeMayBeLeftOut) {
  const auto message = std::make_shared<v1::Tensor>(Typed());
  message->clear_dtype();
  message->clear_shape();
  const std::optional<Tensor> tensor = DecodeTensor(*message, spec(), message, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  EXPECT_EQ(tensor->shape(), Shape{elements()});
  EXPECT_EQ(Bytes(*tensor), GetParam().raw);
}

TEST_P(RoundTrip, ViewedElementsKeepTheMessageAlive) {
  auto message = std::make_shared<v1::Tensor>(Typed());
  const std::weak_ptr<v1::Tensor> watched = message;
  std::optional<Tensor> tensor = DecodeTensor(*message, spec(), message, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value());
  message.reset();
  EXPECT_EQ(watched.expired(), !GetParam().viewed);
  EXPECT_EQ(Bytes(*tensor), GetParam().raw);
  tensor.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_P(RoundTrip, NoElementsAreFineInAnyEncodingWhereTheModelTakesThem) {
  const auto message = std::make_shared<v1::Tensor>(Header());
  message->set_shape(0, 0);
  TensorSpec may_be_empty = spec();
  may_be_empty.allow_empty = true;
  const std::optional<Tensor> tensor = DecodeTensor(*message, may_be_empty, message, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  EXPECT_EQ(tensor->elements(), 0);
  for (const Encoding encoding : {Encoding::kTyped, Encoding::kRaw}) {
    v1::Tensor encoded;
    EncodeTensor(*tensor, "x", encoding, encoded);
    EXPECT_EQ(encoded.ShortDebugString(), message->ShortDebugString());
  }
}

// Bytes of a list of values.
template <class T>
std::string Raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

INSTANTIATE_TEST_SUITE_P(
    EveryType, RoundTrip,
    testing::Values(RoundTripCase{DType::kBool, std::string("\1\0\1", 3), "bool_values: [true, false, true]", true},
                    RoundTripCase{DType::kUint8, Raw<uint8_t>({0, 1, 255}), "uint_values: [0, 1, 255]"},
                    RoundTripCase{DType::kUint16, Raw<uint16_t>({0, 256, 65535}), "uint_values: [0, 256, 65535]"},
                    RoundTripCase{DType::kUint32, Raw<uint32_t>({0, 4294967295}), "uint_values: [0, 4294967295]", true},
                    RoundTripCase{DType::kUint64, Raw<uint64_t>({0, ~uint64_t{0}}),
                                  "uint64_values: [0, 18446744073709551615]", true},
                    RoundTripCase{DType::kInt8, Raw<int8_t>({-128, 0, 127}), "int_values: [-128, 0, 127]"},
                    RoundTripCase{DType::kInt16, Raw<int16_t>({-32768, 0, 32767}), "int_values: [-32768, 0, 32767]"},
                    RoundTripCase{DType::kInt32, Raw<int32_t>({INT32_MIN, 0, INT32_MAX}),
                                  "int_values: [-2147483648, 0, 2147483647]", true},
                    RoundTripCase{DType::kInt64, Raw<int64_t>({INT64_MIN, INT64_MAX}),
                                  "int64_values: [-9223372036854775808, 9223372036854775807]", true},
                    RoundTripCase{DType::kFp16, Raw<uint16_t>({0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00}),
                                  "float_values: [1, -2, 65504, 5.9604645e-08, -0, inf]"},
                    RoundTripCase{DType::kBf16, Raw<uint16_t>({0x3f80, 0xc000, 0x4380, 0xff80}),
                                  "float_values: [1, -2, 256, -inf]"},
                    RoundTripCase{DType::kFp32, Raw<float>({1.5F, -0.0F, 3.4028235e+38F}),
                                  "float_values: [1.5, -0, 3.4028235e+38]", true},
                    RoundTripCase{DType::kFp64, Raw<double>({0.1, -1e308}), "double_values: [0.1, -1e308]", true}),
    [](const testing::TestParamInfo<RoundTripCase>& info) { return std::string(DTypeName(info.param.dtype)); });

class BytesRoundTrip : public testing::Test {
 protected:
  const TensorSpec spec_ = {"x", DType::kBytes, {-1}};
  const std::vector<std::string> strings_ = {"a", "", std::string("\0\xff", 2), std::string(300, 'x')};
  FieldErrors errors_;
};

TEST_F(BytesRoundTrip, TypedStrings) {
  v1::Tensor message;
  message.set_dtype(v1::DATA_TYPE_BYTES);
  message.add_shape(4);
  for (const std::string& string : strings_) message.add_bytes_values(string);
  const std::optional<Tensor> tensor = DecodeTensor(message, spec_, nullptr, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  EXPECT_EQ(tensor->strings(), absl::MakeConstSpan(strings_));
  v1::Tensor encoded;
  EncodeTensor(*tensor, "", Encoding::kTyped, encoded);
  EXPECT_EQ(encoded.ShortDebugString(), message.ShortDebugString());
}

TEST_F(BytesRoundTrip, TextComesBackAsText) {
  v1::Tensor message;
  message.set_dtype(v1::DATA_TYPE_BYTES);
  message.add_shape(3);
  for (const char* text : {"", "abc",
                           "Gr\xC3\xBC\xC3\x9F"
                           "e \xF0\x9F\x98\x80"})
    message.add_string_values(text);
  EXPECT_EQ(EncodingOf(message), Encoding::kText);
  const std::optional<Tensor> tensor = DecodeTensor(message, spec_, nullptr, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  v1::Tensor encoded;
  EncodeTensor(*tensor, "", Encoding::kText, encoded);
  EXPECT_EQ(encoded.ShortDebugString(), message.ShortDebugString());
}

// A string field of protobuf may hold nothing else, and whoever reads it may rely on it.
TEST_F(BytesRoundTrip, OneStringThatIsNoTextMakesAllOfTheTensorBytes) {
  v1::Tensor encoded;
  EncodeTensor(Strings({4}, strings_), "x", Encoding::kText, encoded);
  EXPECT_EQ(encoded.string_values_size(), 0);
  EXPECT_EQ(std::vector<std::string>(encoded.bytes_values().begin(), encoded.bytes_values().end()), strings_);
}

TEST_F(BytesRoundTrip, RawStringsHaveTheirLengthsBeforeThem) {
  v1::Tensor message;
  EncodeTensor(Strings({4}, strings_), "x", Encoding::kRaw, message);
  EXPECT_EQ(message.raw().substr(0, 9), std::string("\1\0\0\0a\0\0\0\0", 9));
  EXPECT_EQ(message.raw().size(), 4 * 4 + 1 + 0 + 2 + 300U);
  const std::optional<Tensor> tensor = DecodeTensor(message, spec_, nullptr, "inputs[0]", errors_);
  ASSERT_TRUE(tensor.has_value()) << errors_.ToStatus();
  EXPECT_EQ(tensor->strings(), absl::MakeConstSpan(strings_));
}

TEST(TensorEncodeTest, SliceIsEncodedWithoutItsNeighbours) {
  const Tensor rows = Floats({4, 2}, {0, 1, 2, 3, 4, 5, 6, 7}).Rows(1, 2);
  v1::Tensor typed;
  EncodeTensor(rows, "y", Encoding::kTyped, typed);
  EXPECT_EQ(typed.ShortDebugString(),
            "name: \"y\" dtype: DATA_TYPE_FP32 shape: 2 shape: 2 float_values: 2 float_values: 3 float_values: 4 "
            "float_values: 5");
  v1::Tensor raw;
  EncodeTensor(rows, "y", Encoding::kRaw, raw);
  EXPECT_EQ(raw.raw(), Raw<float>({2, 3, 4, 5}));
}

// LibTorch may return any non-zero byte as true.
TEST(TensorEncodeTest, EveryByteButZeroIsTrue) {
  std::byte* fill = nullptr;
  const Tensor tensor = Tensor::Allocate(DType::kBool, {3}, &fill);
  fill[0] = std::byte{0};
  fill[1] = std::byte{1};
  fill[2] = std::byte{0xff};
  v1::Tensor message;
  EncodeTensor(tensor, "y", Encoding::kTyped, message);
  EXPECT_EQ(message.ShortDebugString(),
            "name: \"y\" dtype: DATA_TYPE_BOOL shape: 3 bool_values: false bool_values: true bool_values: true");
}

}  // namespace
}  // namespace predictd
