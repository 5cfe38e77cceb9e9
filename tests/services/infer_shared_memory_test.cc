#include "server/services/infer_shared_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "server/services/infer_codec.h"
#include "tests/fakes/shared_object.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

using inference::InferParameter;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Raw(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

void Place(google::protobuf::Map<std::string, InferParameter>& parameters, const std::string& region, int64_t bytes,
           int64_t offset) {
  parameters["shared_memory_region"].set_string_param(region);
  parameters["shared_memory_byte_size"].set_int64_param(bytes);
  if (offset != 0) parameters["shared_memory_offset"].set_int64_param(offset);
}

// A model with the inputs x (numbers), k (numbers, optional) and s (strings, optional), and the outputs y and z.
class InferSharedMemoryTest : public testing::Test {
 protected:
  InferSharedMemoryTest() : catalog_(Entries(), reaper_) {
    version()->SetReady({});
    EXPECT_TRUE(regions_.Register("region", object_.key(), 4, kRegion).ok());
  }

  static std::vector<ModelEntry> Entries() {
    std::vector<ModelEntry> entries(1);
    ModelEntry& entry = entries[0];
    entry.name = "model";
    Signature& signature = entry.config.signature;
    signature.inputs = {{"x", DType::kFp32, {-1, 2}}, {"k", DType::kBool, {-1}}, {"s", DType::kBytes, {-1}}};
    signature.inputs[1].optional = true;
    signature.inputs[2].optional = true;
    signature.outputs = {{"y", DType::kFp32, {-1}}, {"z", DType::kBytes, {-1}}};
    entry.versions.emplace_back().version = 7;
    return entries;
  }

  std::shared_ptr<ServedVersion> version() const { return catalog_.snapshot()->models().at("model")->versions()[0]; }

  // A request with x, in rows of two, at that place.
  static std::shared_ptr<ModelInferRequest> RequestFor(const std::string& region, int64_t rows, int64_t offset = 0) {
    auto request = std::make_shared<ModelInferRequest>();
    AddInput(*request, "x", "FP32", {rows, 2});
    Place(*request->mutable_inputs(0)->mutable_parameters(), region, rows * 8, offset);
    return request;
  }

  static ModelInferRequest::InferInputTensor& AddInput(ModelInferRequest& request, const std::string& name,
                                                       const std::string& datatype, std::vector<int64_t> shape) {
    auto& input = *request.add_inputs();
    input.set_name(name);
    input.set_datatype(datatype);
    input.mutable_shape()->Add(shape.begin(), shape.end());
    return input;
  }

  absl::StatusOr<DecodedPredict> Decode(const std::shared_ptr<ModelInferRequest>& request) {
    return DecodeInfer(request, version(), &regions_);
  }

  std::string Error(const std::shared_ptr<ModelInferRequest>& request) {
    const absl::Status status = Decode(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }

  void Fill(size_t offset, const std::string& bytes) {
    const auto region = regions_.Find("region");
    ASSERT_TRUE(region->Write(offset, {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}).ok());
  }

  static constexpr uint64_t kRegion = 96;
  SharedObject object_{std::string(4 + kRegion, '\0')};
  Reaper reaper_;
  SharedMemoryRegions regions_{{}, reaper_};
  const Catalog catalog_;
};

TEST_F(InferSharedMemoryTest, ElementsAreThoseAtTheTimeOfDecoding) {
  Fill(8, Raw({1, 2, 3, 4}));
  const auto request = RequestFor("region", 2, 8);
  EXPECT_EQ(SharedInputBytes(*request, &regions_), 16);
  const absl::StatusOr<DecodedPredict> decoded = Decode(request);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  Fill(8, Raw({9, 9, 9, 9}));
  regions_.Unregister("");
  EXPECT_THAT(Values(decoded->inference.inputs[0]), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(decoded->ignored_parameters, "");
}

TEST_F(InferSharedMemoryTest, RawContentsAreThoseOfTheOtherInputs) {
  Fill(0, Raw({1, 2, 3, 4}));
  for (const bool first : {true, false}) {
    auto request = std::make_shared<ModelInferRequest>();
    if (!first) AddInput(*request, "k", "BOOL", {2});
    Place(*AddInput(*request, "x", "FP32", {2, 2}).mutable_parameters(), "region", 16, 0);
    if (first) AddInput(*request, "k", "BOOL", {2});
    AddInput(*request, "s", "BYTES", {2});
    request->add_raw_input_contents(std::string("\0\1", 2));
    request->add_raw_input_contents(std::string("\1\0\0\0a\0\0\0\0", 9));
    const absl::StatusOr<DecodedPredict> decoded = Decode(request);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_THAT(Values(decoded->inference.inputs[0]), ElementsAre(1, 2, 3, 4));
    EXPECT_EQ(decoded->inference.inputs[1].data()[1], std::byte{1});
    EXPECT_THAT(decoded->inference.inputs[2].strings(), ElementsAre("a", ""));
    request->add_raw_input_contents("");
    EXPECT_THAT(Error(request), HasSubstr("each of the 2 inputs that are not in shared memory, got 3"));
  }
}

TEST_F(InferSharedMemoryTest, StringsAndTypedContentsMayStandBesideEachOther) {
  Fill(0, std::string("\1\0\0\0a\2\0\0\0bc", 11));
  auto request = std::make_shared<ModelInferRequest>();
  auto& x = AddInput(*request, "x", "FP32", {2, 2});
  for (const float value : {1, 2, 3, 4}) x.mutable_contents()->add_fp32_contents(value);
  Place(*AddInput(*request, "s", "BYTES", {2}).mutable_parameters(), "region", 11, 0);
  const absl::StatusOr<DecodedPredict> decoded = Decode(request);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_THAT(decoded->inference.inputs[2].strings(), ElementsAre("a", "bc"));
  request->mutable_inputs(1)->mutable_contents()->add_bytes_contents("a");
  EXPECT_THAT(Error(request), HasSubstr("inputs[1].contents: expected none"));
}

TEST_F(InferSharedMemoryTest, WrongPlacesNameTheParameter) {
  const std::string prefix = "inputs[0].parameters[\"shared_memory_";
  EXPECT_THAT(Error(RequestFor("other", 1)),
              HasSubstr(prefix + "region\"]: expected a string_param with the name of a region that is registered"));
  EXPECT_THAT(Error(RequestFor("region", 13)), HasSubstr(prefix + "byte_size\"]: expected, with the offset, at most"));
  EXPECT_THAT(Error(RequestFor("region", 1, 89)), HasSubstr("at most the 96 bytes of 'region', got 8 from 89 on"));
  EXPECT_THAT(Error(RequestFor("region", 1, -1)), HasSubstr(prefix + "offset\"]: expected"));
  auto request = RequestFor("region", 1);
  auto& parameters = *request->mutable_inputs(0)->mutable_parameters();
  parameters["shared_memory_byte_size"].set_int64_param(12);
  EXPECT_THAT(Error(request), HasSubstr("inputs[0].shape: "));
  parameters["shared_memory_byte_size"].set_int64_param(7);
  EXPECT_THAT(Error(request), HasSubstr(prefix + "byte_size\"]: expected a multiple of 4 bytes for FP32, got 7"));
  parameters["shared_memory_byte_size"].set_double_param(8);
  EXPECT_THAT(Error(request), HasSubstr(prefix + "byte_size\"]: expected an int64_param or uint64_param"));
  parameters["shared_memory_byte_size"].set_uint64_param(8);
  EXPECT_TRUE(Decode(request).ok());
  parameters["shared_memory_handle"].set_int64_param(1);
  EXPECT_THAT(Error(request), HasSubstr(prefix + "handle\"]: expected no shared memory"));
}

TEST_F(InferSharedMemoryTest, ValuesAreChecked) {
  Fill(0, std::string("\0\2", 2));
  auto request = std::make_shared<ModelInferRequest>();
  AddInput(*request, "x", "FP32", {2, 2});
  request->add_raw_input_contents(Raw({1, 2, 3, 4}));
  Place(*AddInput(*request, "k", "BOOL", {2}).mutable_parameters(), "region", 2, 0);
  EXPECT_THAT(Error(request), HasSubstr("expected 0 or 1 for each BOOL, got 2 at byte 1"));
}

TEST_F(InferSharedMemoryTest, AnObjectThatHasShrunkIsTheCallersError) {
  object_.Resize(10);
  EXPECT_THAT(Error(RequestFor("region", 2)),
              HasSubstr("shared_memory_region\"]: its shared memory has become smaller"));
}

TEST_F(InferSharedMemoryTest, WithoutRegionsNothingIsShared) {
  const auto request = RequestFor("region", 1);
  EXPECT_EQ(SharedInputBytes(*request, nullptr), 0);
  const absl::Status status = DecodeInfer(request, version(), nullptr).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("expected no shared memory"));
}

class InferSharedOutputTest : public InferSharedMemoryTest {
 protected:
  absl::StatusOr<ModelInferResponse> Answer(const ModelInferRequest& outputs) {
    auto request = RequestFor("region", 1);
    *request->mutable_outputs() = outputs.outputs();
    const absl::StatusOr<DecodedPredict> decoded = Decode(request);
    if (!decoded.ok()) return decoded.status();
    absl::StatusOr<grpc::ByteBuffer> bytes = EncodeInfer(*decoded, {Floats({3}, {5, 6, 7}), Strings({2}, {"a", "bc"})});
    if (!bytes.ok()) return bytes.status();
    return **ParseMessage<ModelInferResponse>(*bytes);
  }

  static void AddOutput(ModelInferRequest& request, const std::string& name, int64_t bytes = -1, int64_t offset = 0) {
    auto& output = *request.add_outputs();
    output.set_name(name);
    if (bytes >= 0) Place(*output.mutable_parameters(), "region", bytes, offset);
  }
};

TEST_F(InferSharedOutputTest, OutputsAreWhereTheyAreWanted) {
  ModelInferRequest request;
  AddOutput(request, "z", 40, 50);
  AddOutput(request, "y");
  absl::StatusOr<ModelInferResponse> answer = Answer(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->outputs_size(), 2);
  EXPECT_THAT(answer->raw_output_contents(), ElementsAre("", Raw({5, 6, 7})));
  EXPECT_EQ(answer->outputs(0).name(), "z");
  EXPECT_THAT(answer->outputs(0).shape(), ElementsAre(2));
  const auto& parameters = answer->outputs(0).parameters();
  EXPECT_EQ(parameters.at("shared_memory_region").string_param(), "region");
  EXPECT_EQ(parameters.at("shared_memory_byte_size").int64_param(), 11);
  EXPECT_EQ(parameters.at("shared_memory_offset").int64_param(), 50);
  EXPECT_EQ(object_.content().substr(4 + 50, 12), std::string("\1\0\0\0a\2\0\0\0bc\0", 12));
  EXPECT_TRUE(answer->outputs(1).parameters().empty());
}

TEST_F(InferSharedOutputTest, NumbersFitExactly) {
  ModelInferRequest request;
  AddOutput(request, "y", 12, 84);
  ASSERT_TRUE(Answer(request).ok());
  EXPECT_EQ(object_.content().substr(4 + 84), Raw({5, 6, 7}));
  request.mutable_outputs(0)->mutable_parameters()->at("shared_memory_byte_size").set_int64_param(11);
  const absl::Status status = Answer(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("outputs[0].parameters[\"shared_memory_byte_size\"]: expected room for the 12 bytes of y"));
}

TEST_F(InferSharedOutputTest, WrongPlacesNameTheOutput) {
  ModelInferRequest request;
  AddOutput(request, "y");
  AddOutput(request, "z", 97);
  EXPECT_THAT(std::string(Answer(request).status().message()),
              HasSubstr("outputs[1].parameters[\"shared_memory_byte_size\"]: expected, with the offset, at most"));
}

// Whatever the parameters say, a request is decoded from the region's bytes or refused, and the object stays as it is.
TEST_F(InferSharedMemoryTest, RandomParametersDoNoHarm) {
  std::string content(4 + kRegion, '\0');
  std::mt19937_64 random(11);
  for (char& byte : content) byte = static_cast<char>(random() % 2);
  Fill(0, content.substr(4));
  const std::string before = object_.content();
  const int64_t some[] = {0, 1, 2, 7, 8, 16, 88, 96, 97, -1, INT64_MAX, INT64_MIN, INT64_MAX - 95, int64_t{1} << 32};
  int decoded = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto any = [&] {
      return random() % 3 == 0 ? some[random() % std::size(some)] : static_cast<int64_t>(random() % 100);
    };
    auto request = std::make_shared<ModelInferRequest>();
    const int64_t rows = any() / 8;
    const int64_t bytes = random() % 2 == 0 ? rows * 8 : any();
    const int64_t offset = any();
    auto& parameters = *AddInput(*request, "x", "FP32", {rows, 2}).mutable_parameters();
    Place(parameters, random() % 20 == 0 ? "other" : "region", bytes, offset);
    if (random() % 2 == 0) parameters["shared_memory_byte_size"].set_uint64_param(static_cast<uint64_t>(bytes));
    if (random() % 2 == 0) parameters["shared_memory_offset"].set_uint64_param(static_cast<uint64_t>(offset));
    if (random() % 20 == 0) parameters.erase("shared_memory_byte_size");
    if (random() % 20 == 0) parameters["shared_memory_offset"].set_bool_param(true);
    const int64_t held = SharedInputBytes(*request, &regions_);
    ASSERT_GE(held, 0);
    ASSERT_LE(held, int64_t{1} << 50);
    const absl::StatusOr<DecodedPredict> result = Decode(request);
    if (!result.ok()) continue;
    ++decoded;
    const Tensor& x = result->inference.inputs[0];
    ASSERT_EQ(static_cast<int64_t>(x.byte_size()), held);
    ASSERT_EQ(std::string(reinterpret_cast<const char*>(x.data()), x.byte_size()),
              before.substr(4 + static_cast<size_t>(offset), static_cast<size_t>(bytes)));
  }
  EXPECT_GT(decoded, 1'000);
  EXPECT_EQ(object_.content(), before);
}

}  // namespace
}  // namespace predictd
