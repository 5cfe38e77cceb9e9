#include "server/services/predict_codec.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "server/rpc/message_bytes.h"

namespace predictd {
namespace {

class PredictCodecTest : public testing::Test {
 protected:
  PredictCodecTest() : catalog_(Entries(), reaper_) {
    for (const auto& [name, served] : catalog_.snapshot()->models()) {
      for (const auto& version : served->versions()) version->SetReady({});
    }
  }

  std::shared_ptr<const ServedVersion> target(const std::string& name = "m") const {
    return catalog_.snapshot()->models().at(name)->versions()[0];
  }

  static std::vector<ModelEntry> Entries() {
    std::vector<ModelEntry> entries(2);
    entries[0].name = "m";
    entries[0].config.signature.inputs = {{"x", DType::kUint8, {-1}}};
    entries[0].config.signature.outputs = {{"y", DType::kUint8, {-1}}, {"z", DType::kInt64, {-1}}};
    entries[0].config.signature.max_batch_size = 4;
    entries[0].versions.emplace_back().version = 1;
    entries[1].name = "text";
    entries[1].config.signature.inputs = {{"text", DType::kBytes, {-1}}};
    entries[1].config.signature.outputs = {{"y", DType::kBytes, {-1}}};
    entries[1].versions.emplace_back().version = 1;
    entries.push_back(entries[0]);
    entries[2].name = "optional";
    Signature& signature = entries[2].config.signature;
    signature.inputs.insert(signature.inputs.begin(), {"mask", DType::kUint8, {-1}});
    signature.inputs.push_back({"k", DType::kUint8, {-1}});
    signature.inputs[0].optional = signature.inputs[2].optional = signature.outputs[1].optional = true;
    return entries;
  }

  // A stream of so many rows of one byte.
  static std::shared_ptr<v1::PredictStreamRequest> Stream(size_t rows, int64_t chunk_rows) {
    auto request = std::make_shared<v1::PredictStreamRequest>();
    v1::Tensor& input = *request->mutable_predict()->add_inputs();
    input.set_name("x");
    input.set_raw(std::string(rows, '\1'));
    request->set_chunk_rows(chunk_rows);
    return request;
  }

  // As large as it says, without the memory: nobody may look at it.
  static Tensor Huge(DType dtype, int64_t elements) { return Tensor(dtype, {elements}, nullptr, nullptr); }

  absl::Status EncodeHuge(Encoding encoding, const Tensor& tensor) {
    DecodedPredict request;
    request.version = target();
    request.outputs = {0};
    request.encoding = encoding;
    return EncodePredict(request, {tensor}).status();
  }

  Reaper reaper_;
  Catalog catalog_;
};

TEST_F(PredictCodecTest, AStreamHasAMillionChunksAtMost) {
  EXPECT_TRUE(DecodePredictStream(Stream(1 << 20, 1), target(), 32).ok());
  EXPECT_EQ(DecodePredictStream(Stream((1 << 20) + 1, 1), target(), 32).status().message(),
            "chunk_rows: expected at most 1048576 chunks, got 1 of 1048577 rows");
  EXPECT_TRUE(DecodePredictStream(Stream((1 << 20) + 1, 2), target(), 32).ok());
  EXPECT_TRUE(DecodePredictStream(Stream((1 << 20) + 1, 0), target(), 32).ok());
}

// The process would end in a check of protobuf's, or take the memory first.
TEST_F(PredictCodecTest, AnAnswerThatNoMessageHoldsIsRefusedBeforeItIsMade) {
  const int64_t too_many = (int64_t{1} << 31) + 16;
  EXPECT_EQ(EncodeHuge(Encoding::kRaw, Huge(DType::kUint8, too_many)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(EncodeHuge(Encoding::kTyped, Huge(DType::kUint8, too_many)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(EncodeHuge(Encoding::kTyped, Huge(DType::kFp16, int64_t{1} << 29)).code(),
            absl::StatusCode::kResourceExhausted)
      << "twice as wide in the message";
  const absl::Status status = EncodeHuge(Encoding::kRaw, Huge(DType::kFp64, int64_t{1} << 28));
  EXPECT_TRUE(absl::StrContains(status.message(), "2147483648 bytes")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "2147483647")) << status;
}

TEST_F(PredictCodecTest, AnswersAreEncodedAsTheRequestAsks) {
  const auto encoding = [this](const std::function<void(v1::PredictRequest&)>& change) {
    auto request = std::make_shared<v1::PredictRequest>();
    v1::Tensor& input = *request->add_inputs();
    input.set_name("text");
    change(*request);
    const absl::StatusOr<DecodedPredict> decoded = DecodePredict(request, target("text"));
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    return decoded.ok() ? decoded->encoding : Encoding::kTyped;
  };
  const auto bytes = [](v1::PredictRequest& request) { request.mutable_inputs(0)->add_bytes_values("a"); };
  const auto text = [](v1::PredictRequest& request) { request.mutable_inputs(0)->add_string_values("a"); };
  const auto raw = [](v1::PredictRequest& request) { request.mutable_inputs(0)->set_raw(std::string("\1\0\0\0a", 5)); };
  const auto asking = [](const auto& inputs, const char* wanted) {
    return [inputs, wanted](v1::PredictRequest& request) {
      inputs(request);
      (*request.mutable_parameters())["output_encoding"].set_string_value(wanted);
    };
  };
  EXPECT_EQ(encoding(bytes), Encoding::kTyped);
  EXPECT_EQ(encoding(text), Encoding::kText);
  EXPECT_EQ(encoding(raw), Encoding::kRaw);
  EXPECT_EQ(encoding(asking(bytes, "text")), Encoding::kText);
  EXPECT_EQ(encoding(asking(text, "typed")), Encoding::kTyped);
  EXPECT_EQ(encoding(asking(text, "raw")), Encoding::kRaw);
  EXPECT_EQ(encoding(asking(raw, "text")), Encoding::kText);
}

TEST_F(PredictCodecTest, ErrorsEndAtSixteenHoweverManyFieldsAreWrong) {
  auto request = std::make_shared<v1::PredictRequest>();
  for (int i = 0; i < 2000; ++i) request->add_inputs();
  for (int i = 0; i < 2000; ++i) request->add_outputs("none");
  const absl::Status status = DecodePredict(request, target()).status();
  EXPECT_EQ(status.message(), "inputs[0].name: expected one of x, got '' (and 15 more)");
}

TEST_F(PredictCodecTest, OptionalInputMayLackAndTheOthersTellTheRows) {
  const auto target = this->target("optional");
  auto request = std::make_shared<v1::PredictRequest>();
  const auto add = [&](const char* name, size_t rows) {
    request->add_inputs()->set_name(name);
    request->mutable_inputs()->rbegin()->set_raw(std::string(rows, '\1'));
  };
  add("x", 2);
  const absl::StatusOr<DecodedPredict> decoded = DecodePredict(request, target);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->inference.rows, 2);
  ASSERT_EQ(decoded->inference.inputs.size(), 3U);
  EXPECT_FALSE(decoded->inference.inputs[0].present());
  EXPECT_TRUE(decoded->inference.inputs[1].present());
  EXPECT_FALSE(decoded->inference.inputs[2].present());
  add("k", 3);
  EXPECT_EQ(DecodePredict(request, target).status().message(), "inputs[1].shape: expected 2 rows as in x, got 3");
  request->clear_inputs();
  add("mask", 2);
  EXPECT_EQ(DecodePredict(request, target).status().message(), "inputs: expected the input x, got none");
}

TEST_F(PredictCodecTest, OutputThatIsNotThereIsNotInTheAnswer) {
  DecodedPredict request;
  request.version = target("optional");
  request.outputs = {0, 1};
  const Tensor y(DType::kUint8, {0}, nullptr, nullptr);
  const absl::StatusOr<grpc::ByteBuffer> encoded = EncodePredict(request, {y, Tensor::Absent(DType::kInt64)});
  ASSERT_TRUE(encoded.ok()) << encoded.status();
  grpc::ByteBuffer buffer = *encoded;
  const auto response = ParseMessage<v1::PredictResponse>(buffer);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ((*response)->outputs_size(), 1);
  EXPECT_EQ((*response)->outputs(0).name(), "y");
}

}  // namespace
}  // namespace predictd
