#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>
#include <inference/grpc_service.pb.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "server/rpc/message_bytes.h"
#include "server/services/request_scan.h"

namespace predictd {
namespace {

using inference::ModelInferRequest;

std::shared_ptr<const CatalogSnapshot> OneModel() {
  std::vector<ModelEntry> entries(1);
  entries[0].name = "m";
  entries[0].config.signature.inputs = {{"x", DType::kInt64, {-1, 4}}};
  entries[0].config.signature.outputs = {{"y", DType::kFp32, {-1}}};
  static Reaper reaper;
  return Catalog(entries, reaper).snapshot();
}

absl::StatusOr<RequestScan> ScanInfer(const std::string& text, size_t slice_size = 1 << 14,
                                      Duration most = Duration::max()) {
  static const std::shared_ptr<const CatalogSnapshot> models = OneModel();
  std::vector<grpc::Slice> slices;
  for (size_t first = 0; first < text.size(); first += slice_size) slices.emplace_back(text.substr(first, slice_size));
  grpc::ByteBuffer bytes(slices.data(), slices.size());
  return ScanRequest(bytes, PredictCall::kModelInfer, *models, most);
}

std::string ErrorOf(const ModelInferRequest& request) {
  return std::string(ScanInfer(request.SerializeAsString()).status().message());
}

ModelInferRequest ForModel() {
  ModelInferRequest request;
  request.set_model_name("m");
  return request;
}

TEST(InferScanTest, MoreThanAnyModelCanUseIsRefusedByNameAndLimit) {
  ModelInferRequest inputs = ForModel();
  for (int i = 0; i < 65; ++i) inputs.add_inputs();
  EXPECT_EQ(ErrorOf(inputs), "inputs: expected at most 64, got 65");
  ModelInferRequest raw = ForModel();
  for (int i = 0; i < 65; ++i) raw.add_raw_input_contents();
  EXPECT_EQ(ErrorOf(raw), "raw_input_contents: expected at most 64, got 65");
  ModelInferRequest outputs = ForModel();
  for (int i = 0; i < 65; ++i) outputs.add_outputs();
  EXPECT_EQ(ErrorOf(outputs), "outputs: expected at most 64, got 65");
  ModelInferRequest parameters = ForModel();
  for (int i = 0; i < 65; ++i) (*parameters.mutable_parameters())[std::to_string(i)].set_bool_param(true);
  EXPECT_EQ(ErrorOf(parameters), "parameters: expected at most 64 in a message, got 65 or more");
  ModelInferRequest of_inputs = ForModel();
  auto& many = *of_inputs.add_inputs()->mutable_parameters();
  for (int i = 0; i < 1025; ++i) many[std::to_string(i)].set_bool_param(true);
  EXPECT_EQ(ErrorOf(of_inputs), "inputs.parameters: expected at most 1024 in a message, got 1025 or more");
  ModelInferRequest shape = ForModel();
  shape.add_inputs()->mutable_shape()->Resize(4097, 1);
  EXPECT_EQ(ErrorOf(shape), "inputs.shape: expected at most 4096, got 4097");
  ModelInferRequest strings = ForModel();
  auto& contents = *strings.add_inputs()->mutable_contents();
  for (int i = 0; i < (1 << 20) + 1; ++i) contents.add_bytes_contents();
  EXPECT_EQ(ErrorOf(strings),
            "inputs.contents.bytes_contents: expected at most 1048576 in a message, got 1048577 or more");
}

TEST(InferScanTest, ElementsHaveNoLimitOfTheirOwn) {
  ModelInferRequest request = ForModel();
  request.add_inputs()->mutable_contents()->mutable_int64_contents()->Resize(1 << 20, 1);
  const absl::StatusOr<RequestScan> scan = ScanInfer(request.SerializeAsString());
  ASSERT_TRUE(scan.ok()) << scan.status();
  EXPECT_GT(scan->time, std::chrono::milliseconds(1)) << "for a worker";
}

// The arena of the message keeps what a field has outgrown.
TEST(InferScanTest, TheMemoryOfTypedElementsIsForeseen) {
  for (const int elements : {5000, 100'000, (1 << 20) + 1}) {
    ModelInferRequest request = ForModel();
    request.add_inputs()->mutable_contents()->mutable_int64_contents()->Resize(elements, 1);
    const std::string text = request.SerializeAsString();
    const absl::StatusOr<RequestScan> scan = ScanInfer(text);
    ASSERT_TRUE(scan.ok()) << scan.status();
    google::protobuf::Arena arena;
    auto* parsed = google::protobuf::Arena::CreateMessage<ModelInferRequest>(&arena);
    ASSERT_TRUE(parsed->ParseFromString(text));
    constexpr int64_t kFew = 1024;
    EXPECT_GE(scan->memory + kFew, static_cast<int64_t>(arena.SpaceUsed())) << elements;
  }
}

TEST(InferScanTest, AnUnknownModelIsAnErrorBeforeAnythingIsParsed) {
  ModelInferRequest request;
  request.set_model_name("nobody");
  EXPECT_EQ(ScanInfer(request.SerializeAsString()).status().code(), absl::StatusCode::kNotFound);
}

// The scan knows the wire by itself: whatever the parser takes it must let pass, wherever slices end.
TEST(InferScanTest, AgreesWithTheParserOnDamagedMessages) {
  const google::protobuf::LogSilencer silence;
  ModelInferRequest whole = ForModel();
  whole.set_id("id");
  ModelInferRequest::InferInputTensor& input = *whole.add_inputs();
  input.set_name("x");
  input.set_datatype("INT64");
  input.add_shape(2);
  (*input.mutable_parameters())["a"].set_string_param("b");
  input.mutable_contents()->add_int64_contents(300);
  input.mutable_contents()->add_fp32_contents(1.5);
  input.mutable_contents()->add_bytes_contents("bytes");
  whole.add_outputs()->set_name("y");
  whole.add_raw_input_contents("raw");
  (*whole.mutable_parameters())["priority"].set_uint64_param(3);
  const std::string sample = whole.SerializeAsString();
  std::mt19937 random(7);
  const auto below = [&random](size_t end) { return static_cast<size_t>(random() % end); };
  int parsed = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = sample;
    for (size_t changes = 1 + below(3); changes > 0; --changes) {
      const size_t place = below(text.size());
      if (below(3) == 0) {
        text.erase(place, 1 + below(4));
      } else {
        text[place] = static_cast<char>(random());
      }
      if (text.empty()) text = sample;
    }
    const absl::Status scanned = ScanInfer(text, 1 + below(40)).status();
    ModelInferRequest request;
    if (!request.ParseFromString(text)) continue;
    ++parsed;
    ASSERT_FALSE(absl::StrContains(scanned.message(), "not a valid")) << scanned << testing::PrintToString(text);
  }
  EXPECT_GT(parsed, 1000);
}

}  // namespace
}  // namespace predictd
