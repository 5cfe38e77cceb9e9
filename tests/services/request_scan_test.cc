#include "server/services/request_scan.h"

#include <gtest/gtest.h>
#include <predictd/v1/prediction_service.pb.h>

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "server/rpc/message_bytes.h"

namespace predictd {
namespace {

constexpr Duration kAnyTime = Duration::max();

std::shared_ptr<const CatalogSnapshot> MakeModels() {
  std::vector<ModelEntry> entries(2);
  entries[0].name = "tensors";
  entries[0].config.signature.inputs = {{"x", DType::kFp32, {-1, 4}}};
  entries[0].config.signature.outputs = {{"y", DType::kFp32, {-1}}};
  entries[1].name = "text";
  entries[1].config.generator = GeneratorConfig{.vocabulary_size = 200, .max_length = 100};
  static Reaper reaper;
  return Catalog(entries, reaper).snapshot();
}

// In slices of that size.
grpc::ByteBuffer ToBytes(const std::string& text, size_t slice = 1 << 14) {
  std::vector<grpc::Slice> slices;
  for (size_t first = 0; first < text.size(); first += slice) slices.emplace_back(text.substr(first, slice));
  if (slices.empty()) slices.emplace_back();
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::StatusOr<RequestScan> Scan(const std::string& text, PredictCall call = PredictCall::kPredict,
                                 Duration most = kAnyTime) {
  static const std::shared_ptr<const CatalogSnapshot> models = MakeModels();
  grpc::ByteBuffer bytes = ToBytes(text);
  return ScanRequest(bytes, call, *models, most);
}

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// A field of that number with these bytes.
std::string Field(int number, const std::string& bytes) {
  std::string text;
  text.push_back(static_cast<char>(number << 3 | 2));
  for (size_t size = bytes.size();; size >>= 7) {
    text.push_back(static_cast<char>((size & 127) | (size > 127 ? 128 : 0)));
    if (size <= 127) break;
  }
  return text + bytes;
}

const std::string kTensors = Field(1, "tensors");
const std::string kText = Field(1, "text");

// A chat with that.
std::string Chat(const std::string& bytes) {
  return Field(7, Field(2, bytes));
}

// One argument for its template, whose value has those bytes.
std::string Argument(const std::string& bytes) {
  return Field(2, Field(2, bytes));
}

// Of a value: a list with a list in it, and so on.
std::string Nested(int depth) {
  std::string bytes;
  for (int i = 0; i < depth; ++i) bytes = Field(5, Field(1, bytes));
  return bytes;
}

struct TooMany {
  const char* what;
  std::string bytes;
  const char* error;
};

std::ostream& operator<<(std::ostream& out, const TooMany& c) {
  return out << c.what;
}

class TooManyTest : public testing::TestWithParam<TooMany> {};

TEST_P(TooManyTest, IsRefusedByNameAndLimit) {
  const absl::Status status = Scan(GetParam().bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), GetParam().error);
}

TEST_P(TooManyTest, IsRefusedInAStreamToo) {
  const absl::Status status = Scan(Field(1, GetParam().bytes), PredictCall::kPredictStream).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  // What nobody knows has no path.
  const std::string prefix = absl::StartsWith(GetParam().error, "request") ? "" : "predict.";
  EXPECT_EQ(status.message(), prefix + GetParam().error);
}

const TooMany kTooMany[] = {
    {"inputs", kTensors + Repeat(Field(4, ""), 65), "inputs: expected at most 64, got 65"},
    {"inputs without end", kTensors + Repeat(Field(4, ""), 100'000),
     "inputs: expected at most 65536 in a message, got 65537 or more"},
    {"inputs before the model's name", Repeat(Field(4, ""), 65) + kTensors, "inputs: expected at most 64, got 65"},
    {"inputs without a model", Repeat(Field(4, ""), 65), "inputs: expected at most 64, got 65"},
    {"outputs", kTensors + Repeat(Field(5, ""), 65), "outputs: expected at most 64, got 65"},
    {"parameters", kTensors + Repeat(Field(6, ""), 65), "parameters: expected at most 64 in a message, got 65 or more"},
    {"an input's names", kTensors + Field(4, Repeat(Field(1, "x"), 262145)),
     "inputs.name: expected at most 262144 in a message, got 262145 or more"},
    {"extents", kTensors + Field(4, Field(3, std::string(4097, '\1'))),
     "inputs.shape: expected at most 4096, got 4097"},
    {"extents that are not packed", kTensors + Field(4, Repeat("\x18\1", 4097)),
     "inputs.shape: expected at most 4096, got 4097"},
    {"extents of ten bytes", kTensors + Field(4, Field(3, Repeat(std::string(9, '\xff') + "\1", 4097))),
     "inputs.shape: expected at most 4096, got 4097"},
    {"strings of all inputs", kTensors + Repeat(Field(4, Repeat(Field(12, ""), 600'000)), 2),
     "inputs.bytes_values: expected at most 1048576 in a message, got 1048577 or more"},
    {"text of all inputs", kTensors + Repeat(Field(4, Repeat(Field(13, ""), 600'000)), 2),
     "inputs.string_values: expected at most 1048576 in a message, got 1048577 or more"},
    {"bytes and text together", kTensors + Field(4, Repeat(Field(12, ""), 600'000) + Repeat(Field(13, ""), 600'000)),
     "inputs.string_values: expected at most 1048576, got 1200000"},
    {"messages of a chat", kText + Field(7, Field(2, Repeat(Field(1, ""), 101))),
     "generation.chat.messages: expected at most 100, got 101"},
    {"variables of a template", kText + Chat(Repeat(Field(2, ""), 65537)),
     "generation.chat.template_arguments: expected at most 65536 in a message, got 65537 or more"},
    {"entries of a dictionary", kText + Chat(Argument(Field(6, Repeat(Field(1, ""), 65537)))),
     "generation.chat.template_arguments.value.dict_value.entries: expected at most 65536 in a message, got 65537 or "
     "more"},
    {"values in a list", kText + Chat(Argument(Field(5, Repeat(Field(1, ""), 65537)))),
     "generation.chat.template_arguments.value.list_value.values: expected at most 65536 in a message, got 65537 or "
     "more"},
    {"values in lists in lists",
     kText + Chat(Argument(Field(5, Repeat(Field(1, Field(5, Repeat(Field(1, ""), 999))), 66)))),
     "generation.chat.template_arguments.value.list_value.values: expected at most 65536 in a message, got 65537 or "
     "more"},
    {"values deep in each other", kText + Chat(Argument(Nested(50))),
     "request: expected at most 100 nested messages, got more"},
    {"tokens", kText + Field(7, Field(3, Field(1, std::string(101, '\1')))),
     "generation.token_ids.ids: expected at most 100, got 101"},
    {"tokens for a model of tensors", kTensors + Field(7, Field(3, Field(1, std::string(101, '\1')))),
     "generation.token_ids.ids: expected at most 64, got 101"},
    {"biases", kText + Field(7, Repeat(Field(12, ""), 201)), "generation.logit_bias: expected at most 200, got 201"},
    {"stop strings", kText + Field(7, Repeat(Field(14, "x"), 65)),
     "generation.stop: expected at most 64 in a message, got 65 or more"},
    {"stop tokens", kText + Field(7, Field(15, std::string(65, '\1'))),
     "generation.stop_token_ids: expected at most 64 in a message, got 65 or more"},
    {"a field that is not repeated", Repeat(kTensors, 5), "model_name: expected at most 4 in a message, got 5 or more"},
    {"prompts that replace each other", kText + Field(7, Repeat(Field(2, "") + Field(3, ""), 5)),
     "generation.chat: expected at most 4 in a message, got 5 or more"},
    {"unknown numbers", kTensors + Repeat(std::string("\x50\0", 2), 1025),
     "request: expected at most 1024 unknown fields, got more"},
    {"unknown strings", kTensors + Field(4, Repeat(Field(15, "x"), 1025)),
     "request: expected at most 1024 unknown fields, got more"},
    {"known numbers of the wrong type", kTensors + Repeat(Field(2, ""), 1025),
     "request: expected at most 1024 unknown fields, got more"},
    {"groups", kTensors + Repeat("\x53\x54", 600), "request: expected at most 1024 unknown fields, got more"},
    {"groups in groups", kTensors + Repeat("\x53", 101) + Repeat("\x54", 101),
     "request: expected at most 100 nested groups, got more"},
};

INSTANTIATE_TEST_SUITE_P(Table, TooManyTest, testing::ValuesIn(kTooMany));

TEST(RequestScanTest, WhatAModelCanUseIsAccepted) {
  EXPECT_TRUE(Scan(kTensors + Repeat(Field(4, Field(1, "x")), 64)).ok());
  EXPECT_TRUE(Scan(kTensors + Field(4, Repeat(Field(12, ""), 1 << 20))).ok());
  EXPECT_TRUE(Scan(kTensors + Field(4, Repeat(Field(13, ""), 1 << 20))).ok());
  EXPECT_TRUE(Scan(kText + Field(7, Field(3, Field(1, std::string(100, '\1'))))).ok());
  EXPECT_TRUE(Scan(kText + Field(7, Repeat(Field(12, "\x08\1"), 200))).ok());
  EXPECT_TRUE(Scan(kText + Chat(Repeat(Argument(Nested(16)), 100))).ok());
  // Elements of a tensor have no limit of their own, packed or not.
  EXPECT_TRUE(Scan(kTensors + Field(4, Field(7, std::string(8'000'000, '\1')))).ok());
  EXPECT_TRUE(Scan(kTensors + Field(4, Repeat("\x28\1", 1'000'000))).ok());
  EXPECT_TRUE(Scan("").ok()) << "the request without a model is refused by who parses it";
}

TEST(RequestScanTest, AnUnknownModelIsAnErrorBeforeAnythingIsParsed) {
  EXPECT_EQ(Scan(Field(1, "nobody") + Field(4, std::string(100, '\0'))).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Scan(Field(1, "nobody") + Field(4, Field(4, std::string(100, '\0')))).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(Scan(Field(1, std::string(257, 'm'))).ok()) << "no name is that long: it is not looked for";
}

TEST(RequestScanTest, ParsingTakesAsLongAsItsElements) {
  const auto time = [](int field, size_t bytes) {
    return Scan(kTensors + Field(4, Field(field, std::string(bytes, '\1'))))->time;
  };
  constexpr int kRaw = 4;
  constexpr int kVarints = 7;
  EXPECT_LT(time(kRaw, 1 << 20), std::chrono::milliseconds(1));
  EXPECT_GT(time(kRaw, 1 << 24), std::chrono::milliseconds(1));
  EXPECT_LT(time(kVarints, 1 << 16), std::chrono::milliseconds(1));
  EXPECT_GT(time(kVarints, 1 << 20), std::chrono::milliseconds(1));
}

// Unlike the values of a list, the entries of a dictionary are sorted.
TEST(RequestScanTest, DictionariesTakeLongerThanTheirParsing) {
  v1::PredictRequest request;
  request.set_model_name("text");
  v1::TemplateValue& level = (*request.mutable_generation()->mutable_chat()->mutable_template_arguments())["level"];
  for (int i = 0; i < 3000; ++i) level.mutable_list_value()->add_values()->set_string_value("x");
  EXPECT_LT(Scan(request.SerializeAsString())->time, std::chrono::milliseconds(1));
  for (int i = 0; i < 3000; ++i) (*level.mutable_dict_value()->mutable_entries())[std::to_string(i)];
  EXPECT_GT(Scan(request.SerializeAsString())->time, std::chrono::milliseconds(1));
}

TEST(RequestScanTest, WhatTakesLongEndsTheScan) {
  const std::string strings = kTensors + Field(4, Repeat(Field(12, ""), 1 << 19));
  const auto most = std::chrono::milliseconds(1);
  const absl::StatusOr<RequestScan> scan = Scan(strings, PredictCall::kPredict, most);
  ASSERT_TRUE(scan.ok()) << scan.status();
  EXPECT_GT(scan->time, most);
  EXPECT_LT(scan->time, Scan(strings)->time) << "it has not looked at all of them";
}

// The message of a tensor of 2^20 int64 of one byte each.
TEST(RequestScanTest, ElementsHaveTheirRoomBeforeTheyAreParsed) {
  constexpr int kElements = 1 << 20;
  const std::string text = kTensors + Field(4, Field(1, "x")) + Field(4, Field(7, std::string(kElements, '\2')));
  const absl::StatusOr<RequestScan> scan = Scan(text);
  ASSERT_TRUE(scan.ok()) << scan.status();
  ASSERT_EQ(scan->elements.size(), 1U);
  EXPECT_EQ(scan->elements[0].input, 1);
  EXPECT_EQ(scan->elements[0].count, kElements);
  EXPECT_GE(scan->memory, int64_t{8} * kElements);
  EXPECT_LT(scan->memory, int64_t{9} * kElements);
  grpc::ByteBuffer bytes = ToBytes(text);
  const auto message = ParseMessage<v1::PredictRequest>(
      bytes, text.size(), [&scan](v1::PredictRequest& request) { ReserveElements(*scan, request); });
  ASSERT_TRUE(message.ok()) << message.status();
  ASSERT_EQ((*message)->inputs_size(), 2);
  EXPECT_EQ((*message)->inputs(0).name(), "x");
  EXPECT_EQ((*message)->inputs(1).int64_values_size(), kElements);
  EXPECT_EQ((*message)->inputs(1).int64_values(kElements - 1), 1);
  EXPECT_LT((*message)->inputs(1).int64_values().Capacity(), kElements + 8);
  EXPECT_LT((*message)->inputs(1).SpaceUsedLong(), size_t{9} * kElements);
}

TEST(RequestScanTest, ElementsOfAStreamHaveTheirRoomToo) {
  constexpr int kElements = 100'000;
  const std::string text = Field(1, kTensors + Field(4, Field(8, std::string(kElements, '\2'))));
  const absl::StatusOr<RequestScan> scan = Scan(text, PredictCall::kPredictStream);
  ASSERT_TRUE(scan.ok()) << scan.status();
  grpc::ByteBuffer bytes = ToBytes(text);
  const auto message = ParseMessage<v1::PredictStreamRequest>(
      bytes, text.size(),
      [&scan](v1::PredictStreamRequest& request) { ReserveElements(*scan, *request.mutable_predict()); });
  ASSERT_TRUE(message.ok()) << message.status();
  ASSERT_EQ((*message)->predict().inputs_size(), 1);
  EXPECT_EQ((*message)->predict().inputs(0).uint_values_size(), kElements);
  EXPECT_LT((*message)->predict().inputs(0).uint_values().Capacity(), kElements + 8);
}

v1::PredictRequest Sample() {
  v1::PredictRequest request;
  request.set_model_name("tensors");
  request.set_request_id("id");
  v1::Tensor& input = *request.add_inputs();
  input.set_name("x");
  input.add_shape(2);
  for (int i = 0; i < 3; ++i) {
    input.add_float_values(1.5);
    input.add_int_values(-i);
    input.add_bytes_values("bytes");
    input.add_string_values("text");
    input.add_uint64_values(uint64_t{1} << (20 * i));
  }
  request.add_outputs("y");
  (*request.mutable_parameters())["priority"].set_int64_value(3);
  v1::GenerationRequest& generation = *request.mutable_generation();
  generation.mutable_chat()->add_messages()->set_role("user");
  (*generation.mutable_logit_bias())[3] = 0.5;
  generation.add_stop_token_ids(300);
  return request;
}

// The scan knows the wire by itself: whatever the parser takes it must let pass, wherever slices end.
TEST(RequestScanTest, AgreesWithTheParserOnDamagedMessages) {
  // The parser complains of text that is no UTF-8.
  const google::protobuf::LogSilencer silence;
  const std::string sample = Sample().SerializeAsString();
  const std::shared_ptr<const CatalogSnapshot> models = MakeModels();
  std::mt19937 random(5);
  const auto below = [&random](size_t end) { return static_cast<size_t>(random() % end); };
  int parsed = 0;
  int refused = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string text = sample;
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      switch (below(4)) {
        case 0:
          text[below(text.size())] = static_cast<char>(random());
          break;
        case 1:
          text.erase(below(text.size()), 1 + below(4));
          break;
        case 2:
          text.insert(below(text.size()), 1 + below(4), static_cast<char>(random()));
          break;
        default:
          text.resize(1 + below(text.size()));
      }
      if (text.empty()) text = sample;
    }
    grpc::ByteBuffer bytes = ToBytes(text, 1 + below(40));
    const absl::Status scanned = ScanRequest(bytes, PredictCall::kPredict, *models, kAnyTime).status();
    v1::PredictRequest request;
    const bool parses = request.ParseFromString(text);
    parses ? ++parsed : ++refused;
    if (parses) {
      ASSERT_FALSE(absl::StrContains(scanned.message(), "not a valid")) << scanned << testing::PrintToString(text);
    }
  }
  EXPECT_GT(parsed, 1000);
  EXPECT_GT(refused, 1000);
}

TEST(RequestScanTest, BytesThatAreNoMessageAreRefused) {
  for (const std::string& text :
       {std::string(100, '\xff'), std::string("\0", 1), std::string("\x0c"), std::string("\x02\0", 2),
        std::string("\x0a\x7f"), std::string("\x0a\xff\xff\xff\xff\x07"), std::string("\x53\x5c"), std::string("\x53"),
        std::string("\x22\x05\x0a\x09xyz"), std::string("\x10") + std::string(11, '\x80')}) {
    EXPECT_EQ(Scan(text).status(),
              absl::InvalidArgumentError("the request is not a valid predictd.v1.PredictRequest message"))
        << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace predictd
