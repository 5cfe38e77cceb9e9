#include "server/services/infer_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using testing::ElementsAre;

// One model for each element type, named after it, with an input x and outputs y and z; and a few others.
class InferCodecTest : public testing::Test {
 protected:
  InferCodecTest() : catalog_(Entries(), reaper_) {
    for (const auto& [name, served] : catalog_.snapshot()->models()) {
      for (const auto& version : served->versions()) version->SetReady({});
    }
  }

  static std::vector<ModelEntry> Entries() {
    std::vector<ModelEntry> entries;
    const auto add = [&](std::string name, std::vector<TensorSpec> inputs) -> Signature& {
      ModelEntry& entry = entries.emplace_back();
      entry.name = std::move(name);
      entry.config.signature.inputs = std::move(inputs);
      entry.config.signature.outputs = {{"y", DType::kFp32, {-1}}, {"z", DType::kBytes, {-1}}};
      entry.versions.emplace_back().version = 7;
      return entry.config.signature;
    };
    for (int type = 0; type <= static_cast<int>(DType::kBytes); ++type) {
      const auto dtype = static_cast<DType>(type);
      add(std::string(DTypeName(dtype)), {{"x", dtype, {-1}}});
    }
    add("pair", {{"x", DType::kFp32, {-1, 2}}, {"k", DType::kInt64, {-1}}}).inputs[1].optional = true;
    add("few", {{"x", DType::kUint8, {-1}}}).max_batch_size = 2;
    entries.back().config.labels = {{"stable", 7}};
    add("fixed", {{"x", DType::kUint8, {2, 2}}, {"k", DType::kInt64, {}}}).batched = false;
    return entries;
  }

  std::shared_ptr<const ServedVersion> target(const std::string& name) const {
    return catalog_.snapshot()->models().at(name)->versions()[0];
  }

  // The request in the text format of protobuf.
  static std::shared_ptr<ModelInferRequest> Parse(const std::string& text) {
    auto request = std::make_shared<ModelInferRequest>();
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, request.get())) << text;
    return request;
  }

  absl::StatusOr<DecodedPredict> Decode(const std::string& model, const std::string& text) const {
    return DecodeInfer(Parse(text), target(model));
  }

  std::string Error(const std::string& model, const std::string& text) const {
    const absl::Status status = Decode(model, text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    return std::string(status.message());
  }

  // Decodes the answer to a request.
  ModelInferResponse Answer(const DecodedPredict& request, absl::Span<const Tensor> outputs) const {
    absl::StatusOr<grpc::ByteBuffer> bytes = EncodeInfer(request, outputs);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    const auto message = ParseMessage<ModelInferResponse>(*bytes);
    EXPECT_TRUE(message.ok()) << message.status();
    return **message;
  }

  Reaper reaper_;
  const Catalog catalog_;
};

struct TypeCase {
  DType dtype;
  // The elements as little-endian bytes, and as contents in the text format; empty if there are none of that type.
  std::string raw;
  const char* contents;
};

std::ostream& operator<<(std::ostream& out, const TypeCase& c) {
  return out << DTypeName(c.dtype);
}

template <class T>
std::string Raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

std::string BytesOf(const Tensor& tensor) {
  return std::string(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
}

class InferTypeTest : public InferCodecTest, public testing::WithParamInterface<TypeCase> {
 protected:
  std::string name() const { return std::string(DTypeName(GetParam().dtype)); }
  int64_t elements() const { return static_cast<int64_t>(GetParam().raw.size() / ByteWidth(GetParam().dtype)); }
  std::string Header() const { return absl::StrCat("inputs { name: 'x' datatype: '", name(), "' shape: ", elements()); }
};

TEST_P(InferTypeTest, RawContentsAreViewed) {
  auto request = Parse(Header() + "}");
  request->add_raw_input_contents(GetParam().raw);
  const absl::StatusOr<DecodedPredict> decoded = DecodeInfer(request, target(name()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  const Tensor& tensor = decoded->inference.inputs.at(0);
  EXPECT_EQ(tensor.dtype(), GetParam().dtype);
  EXPECT_EQ(tensor.shape(), Shape{elements()});
  EXPECT_EQ(BytesOf(tensor), GetParam().raw);
  EXPECT_EQ(reinterpret_cast<const char*>(tensor.data()), request->raw_input_contents(0).data()) << "copied";
  EXPECT_EQ(decoded->inference.rows, elements());
  EXPECT_EQ(decoded->encoding, Encoding::kRaw);
}

TEST_P(InferTypeTest, TypedContentsBecomeTheElements) {
  if (*GetParam().contents == '\0') {
    EXPECT_EQ(Error(name(), Header() + " contents { fp32_contents: 1 } }"),
              absl::StrCat("inputs[0].contents.fp32_contents: expected the elements of ", name(),
                           " in raw_input_contents, got contents.fp32_contents"));
    return;
  }
  const absl::StatusOr<DecodedPredict> decoded =
      Decode(name(), absl::StrCat(Header(), " contents { ", GetParam().contents, " } }"));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(BytesOf(decoded->inference.inputs.at(0)), GetParam().raw);
}

TEST_P(InferTypeTest, TheTypeAndShapeMayBeLeftOut) {
  auto request = Parse("inputs { name: 'x' }");
  request->add_raw_input_contents(GetParam().raw);
  const absl::StatusOr<DecodedPredict> decoded = DecodeInfer(request, target(name()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->inference.inputs.at(0).shape(), Shape{elements()});
}

TEST_P(InferTypeTest, AByteTooManyIsRefused) {
  auto request = Parse(Header() + "}");
  request->add_raw_input_contents(GetParam().raw + "x");
  const size_t width = ByteWidth(GetParam().dtype);
  const std::string error(DecodeInfer(request, target(name())).status().message());
  if (width > 1) {
    EXPECT_EQ(error, absl::StrCat("raw_input_contents[0]: expected a multiple of ", width, " bytes for ", name(),
                                  ", got ", GetParam().raw.size() + 1));
  } else {
    EXPECT_THAT(error, testing::StartsWith("inputs[0].shape: expected "));
  }
}

TEST_P(InferTypeTest, AShapeThatDoesNotAgreeWithTheElementsIsRefused) {
  auto request = Parse(Header() + "}");
  request->mutable_inputs(0)->set_shape(0, int64_t{1} << 60);
  request->add_raw_input_contents(GetParam().raw);
  EXPECT_THAT(std::string(DecodeInfer(request, target(name())).status().message()),
              testing::StartsWith("inputs[0].shape: expected "));
}

INSTANTIATE_TEST_SUITE_P(
    EveryType, InferTypeTest,
    testing::Values(
        TypeCase{DType::kBool, std::string("\1\0\1", 3), "bool_contents: [true, false, true]"},
        TypeCase{DType::kUint8, Raw<uint8_t>({0, 1, 255}), "uint_contents: [0, 1, 255]"},
        TypeCase{DType::kUint16, Raw<uint16_t>({0, 65535}), "uint_contents: [0, 65535]"},
        TypeCase{DType::kUint32, Raw<uint32_t>({0, 4294967295}), "uint_contents: [0, 4294967295]"},
        TypeCase{DType::kUint64, Raw<uint64_t>({0, ~uint64_t{0}}), "uint64_contents: [0, 18446744073709551615]"},
        TypeCase{DType::kInt8, Raw<int8_t>({-128, 127}), "int_contents: [-128, 127]"},
        TypeCase{DType::kInt16, Raw<int16_t>({-32768, 32767}), "int_contents: [-32768, 32767]"},
        TypeCase{DType::kInt32, Raw<int32_t>({INT32_MIN, INT32_MAX}), "int_contents: [-2147483648, 2147483647]"},
        TypeCase{DType::kInt64, Raw<int64_t>({INT64_MIN, INT64_MAX}),
                 "int64_contents: [-9223372036854775808, 9223372036854775807]"},
        TypeCase{DType::kFp16, Raw<uint16_t>({0x3c00, 0xc000}), ""},
        TypeCase{DType::kBf16, Raw<uint16_t>({0x3f80, 0xff80}), ""},
        TypeCase{DType::kFp32, Raw<float>({1.5F, -0.0F}), "fp32_contents: [1.5, -0]"},
        TypeCase{DType::kFp64, Raw<double>({0.1, -1e308}), "fp64_contents: [0.1, -1e308]"}),
    [](const testing::TestParamInfo<TypeCase>& info) { return std::string(DTypeName(info.param.dtype)); });

TEST_F(InferCodecTest, StringsComeInBothForms) {
  const std::vector<std::string> strings = {"", std::string("\0\xff", 2), "text"};
  auto raw = Parse("inputs { name: 'x' datatype: 'BYTES' shape: 3 }");
  raw->add_raw_input_contents(std::string("\0\0\0\0\2\0\0\0\0\xff\4\0\0\0text", 18));
  auto typed = Parse("inputs { name: 'x' datatype: 'BYTES' shape: 3 contents {} }");
  for (const std::string& string : strings) typed->mutable_inputs(0)->mutable_contents()->add_bytes_contents(string);
  for (const auto& request : {raw, typed}) {
    const absl::StatusOr<DecodedPredict> decoded = DecodeInfer(request, target("BYTES"));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_THAT(decoded->inference.inputs.at(0).strings(), testing::ElementsAreArray(strings));
  }
}

TEST_F(InferCodecTest, LengthsOfStringsThatLieAreRefused) {
  for (const std::string& bytes :
       {std::string("\1\0\0\0", 4), std::string("\0\0\0", 3), std::string("\xff\xff\xff\xff", 4) + "text"}) {
    auto request = Parse("inputs { name: 'x' shape: 1 }");
    request->add_raw_input_contents(bytes);
    EXPECT_EQ(DecodeInfer(request, target("BYTES")).status().message(),
              "raw_input_contents[0]: expected for each element a 4-byte little-endian length and that many bytes, got "
              "less");
  }
}

struct WrongInfer {
  const char* model;
  const char* request;
  const char* error;
};

TEST_F(InferCodecTest, EachWrongFieldIsNamedAsTheProtocolNamesIt) {
  const std::string x = "inputs { name: 'x' shape: [1, 2] contents { fp32_contents: [1, 2] } } ";
  const WrongInfer wrong[] = {
      {"FP32", "inputs { name: 'q' }", "inputs[0].name: expected one of x, got 'q' (and 1 more)"},
      {"FP32", "inputs { name: 'x' contents { fp32_contents: 1 } } inputs { name: 'x' }",
       "inputs[1].name: expected each input once, got x again"},
      {"FP32", "", "inputs: expected the input x, got none"},
      {"FP32", "inputs { name: 'x' datatype: 'FP64' }", "inputs[0].datatype: expected FP32, got 'FP64'"},
      {"FP32", "inputs { name: 'x' shape: 1 contents { int_contents: 1 } }",
       "inputs[0].contents.int_contents: expected the elements of FP32 in contents.fp32_contents or "
       "raw_input_contents, got contents.int_contents"},
      {"BYTES", "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } }",
       "inputs[0].contents.fp32_contents: expected the elements of BYTES in contents.bytes_contents or "
       "raw_input_contents, got contents.fp32_contents"},
      {"FP32", "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 bytes_contents: 'a' } }",
       "inputs[0].contents.bytes_contents: expected the elements of FP32 in contents.fp32_contents or "
       "raw_input_contents, got contents.bytes_contents"},
      {"INT8", "inputs { name: 'x' shape: 1 contents { int_contents: 128 } }",
       "inputs[0].contents.int_contents[0]: expected a value that INT8 can hold, got 128"},
      {"FP32", "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } } raw_input_contents: 'abcd'",
       "inputs[0].contents: expected all elements either here or in raw_input_contents, got both"},
      {"pair",
       "inputs { name: 'x' shape: [1, 2] contents { fp32_contents: [1, 2] } } inputs { name: 'k' shape: 1 } "
       "raw_input_contents: 'abcdefgh'",
       "raw_input_contents: expected one for each of the 2 inputs, got 1"},
      {"BOOL", "inputs { name: 'x' shape: 2 } raw_input_contents: '\\1\\2'",
       "raw_input_contents[0]: expected 0 or 1 for each BOOL, got 2 at byte 1"},
      {"few", "inputs { name: 'x' shape: 3 } raw_input_contents: 'abc'",
       "inputs[0].shape: expected 1 to 2 rows, got 3; predictd.v1.PredictionService/PredictStream takes more"},
      {"FP32", "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } } outputs { name: 'q' }",
       "outputs[0].name: expected one of y, z, got 'q'"},
      {"FP32",
       "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } } outputs { name: 'y' } outputs { name: 'y' }",
       "outputs[1].name: expected each output once, got y again"},
  };
  for (const auto& [model, request, error] : wrong) EXPECT_EQ(Error(model, request), error);
  EXPECT_EQ(Error("FP32", absl::StrCat("id: '", std::string(129, 'i'),
                                       "' inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } }")),
            "id: expected at most 128 bytes, got 129");
  EXPECT_EQ(Error("pair", x + "inputs { name: 'k' shape: 2 contents { int64_contents: [1, 2] } }"),
            "inputs[1].shape: expected 1 rows as in x, got 2");
}

TEST_F(InferCodecTest, ScalarsAndModelsWithoutRowsWork) {
  const absl::StatusOr<DecodedPredict> decoded =
      Decode("fixed",
             "inputs { name: 'k' datatype: 'INT64' contents { int64_contents: 3 } } "
             "inputs { name: 'x' datatype: 'UINT8' shape: [2, 2] contents { uint_contents: [1, 2, 3, 4] } }");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(BytesOf(decoded->inference.inputs.at(0)), "\1\2\3\4");
  EXPECT_TRUE(decoded->inference.inputs.at(1).shape().empty());
  EXPECT_EQ(decoded->inference.rows, 1);
}

class InferParametersTest : public InferCodecTest {
 protected:
  static constexpr char kInput[] = "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } } ";

  static std::string Parameter(const std::string& name, const std::string& value) {
    return absl::StrCat("parameters { key: '", name, "' value { ", value, " } } ");
  }
  absl::StatusOr<DecodedPredict> With(const std::string& parameters) const {
    return Decode("FP32", kInput + parameters);
  }
};

TEST_F(InferParametersTest, PriorityCountsFromTheMostUrgentLevel) {
  const std::pair<const char*, int64_t> levels[] = {{"int64_param: 0", kDefaultPriority},
                                                    {"uint64_param: 1", kMaxPriority},
                                                    {"int64_param: 3", kDefaultPriority},
                                                    {"uint64_param: 5", 0}};
  for (const auto& [value, priority] : levels) {
    const auto decoded = With(Parameter("priority", value));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->inference.priority, priority) << value;
  }
  for (const char* value : {"uint64_param: 6", "int64_param: -1", "string_param: '1'", "double_param: 1", ""}) {
    EXPECT_EQ(With(Parameter("priority", value)).status().message(),
              "parameters[\"priority\"]: expected an int64_param or uint64_param from 0 to 5");
  }
}

TEST_F(InferParametersTest, TimeoutIsInMicroseconds) {
  EXPECT_EQ(With(Parameter("timeout", "int64_param: 1500"))->timeout, std::chrono::microseconds(1500));
  EXPECT_EQ(With(Parameter("timeout", "uint64_param: 0"))->timeout, std::nullopt);
  EXPECT_EQ(With("")->timeout, std::nullopt);
  EXPECT_FALSE(With(Parameter("timeout", "int64_param: -1")).ok());
  EXPECT_FALSE(With(Parameter("timeout", "uint64_param: 18446744073709551615")).ok());
}

TEST_F(InferParametersTest, WhatWouldChangeTheAnswerIsRefused) {
  const std::string one = "int64_param: 1";
  for (const char* name : {"sequence_id", "sequence_start", "sequence_end", "shared_memory_region",
                           "shared_memory_byte_size", "shared_memory_offset", "classification"}) {
    EXPECT_THAT(std::string(With(Parameter(name, one)).status().message()),
                testing::StartsWith(absl::StrCat("parameters[\"", name, "\"]: expected no ")));
  }
  const std::string input = "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } ";
  EXPECT_THAT(Error("FP32", input + Parameter("shared_memory_region", "string_param: 'r'") + "}"),
              testing::StartsWith("inputs[0].parameters[\"shared_memory_region\"]: expected no shared memory"));
  EXPECT_EQ(Error("FP32", input + Parameter("binary_data_size", "int64_param: 4") + "}"),
            "inputs[0].parameters[\"binary_data_size\"]: expected 0, the size of its raw_input_contents");
  EXPECT_THAT(Error("FP32", kInput + ("outputs { name: 'y' " + Parameter("classification", one) + "}")),
              testing::StartsWith("outputs[0].parameters[\"classification\"]: expected no classification"));
}

TEST_F(InferParametersTest, WhatAsksForNothingIsNoError) {
  const auto decoded =
      With(Parameter("sequence_id", "int64_param: 0") + Parameter("sequence_start", "bool_param: false") +
           Parameter("sequence_end", "bool_param: false"));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->ignored_parameters, "");
}

// The KServe SDK says by gRPC, too, what HTTP needs.
TEST_F(InferParametersTest, WhereTheBytesAreMayBeSaidTwice) {
  const std::string input = "raw_input_contents: 'abcd' outputs { name: 'y' " +
                            Parameter("binary_data", "bool_param: true") + "} " +
                            Parameter("binary_data_output", "bool_param: true") + " inputs { name: 'x' shape: 1 ";
  const auto decoded = Decode("FP32", input + Parameter("binary_data_size", "int64_param: 4") + "}");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->ignored_parameters, "");
  EXPECT_EQ(Error("FP32", input + Parameter("binary_data_size", "int64_param: 8") + "}"),
            "inputs[0].parameters[\"binary_data_size\"]: expected 4, the size of its raw_input_contents");
}

TEST_F(InferParametersTest, WhatHasNoEffectIsListedInTheAnswer) {
  const auto decoded = With(Parameter("prioritty", "int64_param: 1") + Parameter("content_type", "string_param: 'np'") +
                            Parameter("headers", "string_param: 'h'") + Parameter("triton_x", "bool_param: true") +
                            "outputs { name: 'y' " + Parameter("label", "int64_param: 0") + "}");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  const ModelInferResponse answer = Answer(*decoded, {Floats({1}, {1}), Strings({1}, {"a"})});
  EXPECT_EQ(answer.parameters().at("ignored_parameters").string_param(),
            "content_type,prioritty,outputs[0].parameters[\"label\"]");
  EXPECT_TRUE(Answer(*With(""), {Floats({1}, {1}), Strings({1}, {"a"})}).parameters().empty());
}

TEST_F(InferCodecTest, AnAnswerHasTheOutputsThatWereAskedForInThatOrder) {
  const std::string x = "id: 'me' inputs { name: 'x' shape: 2 contents { fp32_contents: [1, 2] } } ";
  const std::vector<Tensor> outputs = {Floats({2}, {3, 4}), Strings({2}, {"", "ab"})};
  const absl::StatusOr<DecodedPredict> both = Decode("FP32", x + "outputs { name: 'z' } outputs { name: 'y' }");
  ASSERT_TRUE(both.ok()) << both.status();
  const ModelInferResponse answer = Answer(*both, outputs);
  EXPECT_EQ(answer.model_name(), "FP32");
  EXPECT_EQ(answer.model_version(), "7");
  EXPECT_EQ(answer.id(), "me");
  ASSERT_EQ(answer.outputs_size(), 2);
  EXPECT_EQ(answer.outputs(0).name(), "z");
  EXPECT_EQ(answer.outputs(0).datatype(), "BYTES");
  EXPECT_EQ(answer.outputs(1).name(), "y");
  EXPECT_EQ(answer.outputs(1).datatype(), "FP32");
  EXPECT_THAT(answer.outputs(1).shape(), ElementsAre(2));
  EXPECT_THAT(answer.raw_output_contents(), ElementsAre(std::string("\0\0\0\0\2\0\0\0ab", 10), Raw<float>({3, 4})));

  const absl::StatusOr<DecodedPredict> one = Decode("FP32", x + "outputs { name: 'z' }");
  EXPECT_EQ(Answer(*one, outputs).raw_output_contents_size(), 1);
  const absl::StatusOr<DecodedPredict> all = Decode("FP32", x);
  EXPECT_EQ(Answer(*all, outputs).outputs(0).name(), "y");
  EXPECT_EQ(Answer(*all, {outputs[0], Tensor::Absent(DType::kBytes)}).outputs_size(), 1);
}

TEST_F(InferCodecTest, AnAnswerThatNoMessageHoldsIsRefusedBeforeItIsMade) {
  const absl::StatusOr<DecodedPredict> decoded =
      Decode("FP32", "inputs { name: 'x' shape: 1 contents { fp32_contents: 1 } } outputs { name: 'y' }");
  const Tensor huge(DType::kFp32, {int64_t{1} << 29}, nullptr, nullptr);
  EXPECT_EQ(
      EncodeInfer(*decoded, {huge, huge}).status().message(),
      "the outputs take 2147483648 bytes, and a message can have 2147483647: ask for fewer rows or fewer outputs");
}

TEST_F(InferCodecTest, AVersionIsTheTextOfItsNumberOrALabel) {
  const auto find = [this](const std::string& version) {
    RequestSubject subject;
    return FindInferTarget(*Parse(absl::StrCat("model_name: 'few' model_version: '", version, "'")),
                           *catalog_.snapshot(), subject);
  };
  EXPECT_EQ((*find(""))->number(), 7);
  EXPECT_EQ((*find("7"))->number(), 7);
  EXPECT_EQ(find("8").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ((*find("stable"))->number(), 7);
  EXPECT_EQ(find("-1").status().message(), "model 'few' has no label '-1'; there is stable");
  for (const char* version : {"0", "99999999999999999999"}) {
    EXPECT_EQ(find(version).status().message(),
              absl::StrCat("model_version: expected \"\", the number of a version, or a label, got '", version, "'"));
  }
  RequestSubject subject;
  EXPECT_EQ(FindInferTarget(*Parse("id: 'me'"), *catalog_.snapshot(), subject).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(subject.request_id, "me");
}

}  // namespace
}  // namespace predictd
