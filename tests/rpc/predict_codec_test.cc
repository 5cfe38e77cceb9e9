#include "server/rpc/predict_codec.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"

namespace predictd {
namespace {

class PredictCodecTest : public testing::Test {
 protected:
  PredictCodecTest() : catalog_(Entries()) {
    for (const auto& version : model().versions()) version->SetReady(nullptr);
  }

  const ServedModel& model() const { return catalog_.models().at("m"); }
  RequestTarget target() const { return {&model(), model().versions()[0].get()}; }

  static std::vector<ModelEntry> Entries() {
    std::vector<ModelEntry> entries(1);
    entries[0].name = "m";
    entries[0].config.signature.inputs = {{"x", DType::kUint8, {-1}}};
    entries[0].config.signature.outputs = {{"y", DType::kUint8, {-1}}, {"z", DType::kInt64, {-1}}};
    entries[0].config.signature.max_batch_size = 4;
    entries[0].versions.emplace_back().version = 1;
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
    request.model = &model();
    request.outputs = {0};
    request.encoding = encoding;
    return EncodePredict(request, {tensor}).status();
  }

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

TEST_F(PredictCodecTest, ErrorsEndAtSixteenHoweverManyFieldsAreWrong) {
  auto request = std::make_shared<v1::PredictRequest>();
  for (int i = 0; i < 2000; ++i) request->add_inputs();
  for (int i = 0; i < 2000; ++i) request->add_outputs("none");
  const absl::Status status = DecodePredict(request, target()).status();
  EXPECT_EQ(status.message(), "inputs[0].name: expected one of x, got '' (and 15 more)");
}

}  // namespace
}  // namespace predictd
