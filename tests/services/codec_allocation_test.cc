// What a request goes through between its bytes and its answer's, with each of its allocations failing in turn: all of
// it is given back, and std::bad_alloc is all that happens.

#include <gtest/gtest.h>
#include <inference/grpc_service.pb.h>
#include <predictd/v1/prediction_service.pb.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "server/rpc/message_bytes.h"
#include "server/services/infer_codec.h"
#include "server/services/predict_codec.h"
#include "server/services/request_scan.h"
#include "tests/fakes/failing_allocations.h"
#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

class CodecAllocationTest : public testing::Test {
 protected:
  CodecAllocationTest() : catalog_(Entries(), reaper_) {
    models_->models().at("m")->versions()[0]->SetReady({});
    outputs_ = {Floats({2, 2}, {1, 2, 3, 4}),
                Strings({2}, {"short", "a string that is too long to lie in its object"})};
  }

  static std::vector<ModelEntry> Entries() {
    std::vector<ModelEntry> entries(1);
    entries[0].name = "m";
    entries[0].config.signature.inputs = {{"x", DType::kInt8, {-1, -1}}, {"text", DType::kBytes, {-1}}};
    entries[0].config.signature.outputs = {{"y", DType::kFp32, {-1, 2}}, {"z", DType::kBytes, {-1}}};
    entries[0].versions.emplace_back().version = 1;
    return entries;
  }

  static v1::PredictRequest Request(int64_t columns) {
    v1::PredictRequest request;
    request.set_model_name("m");
    request.set_request_id("a request id that is too long to lie in its object");
    v1::Tensor& x = *request.add_inputs();
    x.set_name("x");
    x.add_shape(2);
    x.add_shape(columns);
    for (int64_t i = 0; i < 2 * columns; ++i) x.add_int_values(static_cast<int32_t>(i % 100));
    v1::Tensor& text = *request.add_inputs();
    text.set_name("text");
    text.add_bytes_values("short");
    text.add_bytes_values("a string that is too long to lie in its object");
    (*request.mutable_parameters())["priority"].set_int64_value(1);
    return request;
  }

  // What the handler does with a request, but for running the model.
  absl::Status Serve(grpc::ByteBuffer& bytes) const {
    const auto scan = ScanRequest(bytes, PredictCall::kPredict, *models_, Duration::max());
    if (!scan.ok()) return scan.status();
    const auto message =
        ParseMessage<v1::PredictRequest>(bytes, std::numeric_limits<size_t>::max(),
                                         [&scan](v1::PredictRequest& request) { ReserveElements(*scan, request); });
    if (!message.ok()) return message.status();
    RequestSubject subject;
    absl::StatusOr<std::shared_ptr<const ServedVersion>> target = FindTarget(**message, "", *models_, subject);
    if (!target.ok()) return target.status();
    const absl::StatusOr<DecodedPredict> decoded = DecodePredict(*message, *std::move(target));
    if (!decoded.ok()) return decoded.status();
    const RowStream::Chunk chunk = {.first_row = 0, .rows = 2, .result = InferenceResult{outputs_, {}}};
    if (absl::Status status = EncodeRows(*decoded, chunk).status(); !status.ok()) return status;
    return EncodePredict(*decoded, outputs_).status();
  }

  static inference::ModelInferRequest InferRequest() {
    inference::ModelInferRequest request;
    request.set_model_name("m");
    request.set_id("a request id that is too long to lie in its object");
    for (const char* name : {"x", "text"}) request.add_inputs()->set_name(name);
    request.mutable_inputs(0)->add_shape(2);
    request.mutable_inputs(0)->add_shape(3);
    request.add_raw_input_contents("abcdef");
    request.add_raw_input_contents(std::string("\1\0\0\0a\1\0\0\0b", 10));
    (*request.mutable_parameters())["a name of a parameter that has no effect"].set_int64_param(1);
    return request;
  }

  // The same for the Open Inference Protocol.
  absl::Status ServeInfer(grpc::ByteBuffer& bytes) const {
    const auto scan = ScanRequest(bytes, PredictCall::kModelInfer, *models_, Duration::max());
    if (!scan.ok()) return scan.status();
    const auto message = ParseMessage<inference::ModelInferRequest>(bytes);
    if (!message.ok()) return message.status();
    RequestSubject subject;
    absl::StatusOr<std::shared_ptr<const ServedVersion>> target = FindInferTarget(**message, *models_, subject);
    if (!target.ok()) return target.status();
    const absl::StatusOr<DecodedPredict> decoded = DecodeInfer(*message, *std::move(target));
    if (!decoded.ok()) return decoded.status();
    return EncodeInfer(*decoded, outputs_).status();
  }

  // Serves the request again and again, while one allocation after the other fails, until none does. What it ends with.
  absl::Status Sweep(const v1::PredictRequest& request) const {
    return Sweep(request.SerializeAsString(), [this](grpc::ByteBuffer& bytes) { return Serve(bytes); });
  }
  absl::Status Sweep(const inference::ModelInferRequest& request) const {
    return Sweep(request.SerializeAsString(), [this](grpc::ByteBuffer& bytes) { return ServeInfer(bytes); });
  }
  template <class Handler>
  absl::Status Sweep(const std::string& text, Handler serve) const {
    const grpc::Slice slice(text);
    {
      // Whatever is only made once.
      grpc::ByteBuffer bytes(&slice, 1);
      static_cast<void>(serve(bytes));
    }
    absl::Status status;
    for (int64_t n = 0;; ++n) {
      const int64_t before = FailingAllocations::Live();
      bool failed = false;
      {
        grpc::ByteBuffer bytes(&slice, 1);
        const FailingAllocations failing(n);
        try {
          status = serve(bytes);
        } catch (const std::bad_alloc&) {
          failed = true;
        }
      }
      if (!failed) {
        EXPECT_GT(n, 10);
        return status;
      }
      EXPECT_EQ(FailingAllocations::Live(), before) << "after allocation " << n << " failed";
    }
  }

  Reaper reaper_;
  const Catalog catalog_;
  const std::shared_ptr<const CatalogSnapshot> models_ = catalog_.snapshot();
  std::vector<Tensor> outputs_;
};

TEST_F(CodecAllocationTest, OfASmallRequestGivesEverythingBack) {
  EXPECT_TRUE(Sweep(Request(3)).ok());
}

TEST_F(CodecAllocationTest, OfALargeRequestGivesEverythingBack) {
  EXPECT_TRUE(Sweep(Request(10'000)).ok());
}

TEST_F(CodecAllocationTest, OfARequestInTextGivesEverythingBack) {
  v1::PredictRequest request = Request(3);
  request.mutable_inputs(1)->mutable_string_values()->Swap(request.mutable_inputs(1)->mutable_bytes_values());
  EXPECT_TRUE(Sweep(request).ok());
}

TEST_F(CodecAllocationTest, OfAWrongRequestGivesEverythingBack) {
  v1::PredictRequest request = Request(3);
  request.mutable_inputs(0)->set_shape(1, 4);
  request.add_outputs("none");
  (*request.mutable_parameters())["unknown"].set_bool_value(true);
  EXPECT_EQ(Sweep(request).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CodecAllocationTest, OfARequestOfTheOpenInferenceProtocolGivesEverythingBack) {
  EXPECT_TRUE(Sweep(InferRequest()).ok());
  inference::ModelInferRequest wrong = InferRequest();
  wrong.mutable_inputs(0)->set_shape(1, 4);
  (*wrong.mutable_parameters())["sequence_id"].set_int64_param(1);
  wrong.add_outputs()->set_name("none");
  EXPECT_EQ(Sweep(wrong).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace predictd
