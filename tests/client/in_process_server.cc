#include "tests/client/in_process_server.h"

#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/tensor_builder.h"
#include "google/rpc/error_details.pb.h"
#include "tests/client/fake_generator.h"
#include "tests/client/fake_model_service.h"
#include "tests/client/waiting_reactors.h"

namespace predictd {
namespace {

grpc::Status Busy() {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field("inputs[0].shape[1]");
  violation->set_description("expected 2, got 3");
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(1);
  google::rpc::Status status;
  status.set_code(static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
  status.set_message("the queue is full");
  status.add_details()->PackFrom(bad_request);
  status.add_details()->PackFrom(retry);
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, status.message(), status.SerializeAsString()};
}

grpc::Status Doubled(const v1::Tensor& input, v1::Tensor& output) {
  const absl::StatusOr<std::vector<float>> values = TensorValues<float>(input);
  if (!values.ok()) return {grpc::StatusCode::INVALID_ARGUMENT, std::string(values.status().message())};
  std::vector<float> doubled = *values;
  for (float& value : doubled) value *= 2;
  output = *MakeTensor<float>("y", input.shape(), doubled);
  if (input.raw().empty()) EncodeTyped(output).IgnoreError();
  return grpc::Status::OK;
}

// Rows [first, first + count) of an FP32[-1,2].
v1::Tensor Rows(const std::vector<float>& values, std::int64_t first, std::int64_t count) {
  return *MakeTensor<float>("x", {count, 2}, absl::MakeConstSpan(values).subspan(2 * first, 2 * count));
}

// All events of a stream of `double`.
std::vector<v1::PredictStreamResponse> Events(const v1::PredictStreamRequest& request) {
  const v1::Tensor& input = request.predict().inputs(0);
  const std::vector<float> values = *TensorValues<float>(input);
  const std::int64_t rows = input.shape(0);
  const std::int64_t chunk = request.chunk_rows() > 0 ? request.chunk_rows() : 4;
  std::vector<v1::PredictStreamResponse> events(1);
  v1::StreamSummary summary;
  for (std::int64_t first = 0; first < rows; first += chunk) {
    v1::RowsResult& result = *events.emplace_back().mutable_rows();
    result.set_first_row(first);
    result.set_row_count(std::min(chunk, rows - first));
    const v1::Tensor part = Rows(values, first, result.row_count());
    const std::vector<float> part_values = *TensorValues<float>(part);
    if (request.on_error() == v1::CHUNK_ERROR_POLICY_PER_ITEM &&
        std::any_of(part_values.begin(), part_values.end(), [](float value) { return value < 0; })) {
      result.mutable_error()->set_code(static_cast<int>(grpc::StatusCode::INTERNAL));
      result.mutable_error()->set_message("negative");
      summary.set_rows_failed(summary.rows_failed() + result.row_count());
    } else {
      Doubled(part, *result.add_outputs());
      summary.set_rows_ok(summary.rows_ok() + result.row_count());
    }
  }
  v1::StreamStart& start = *events.front().mutable_start();
  start.set_model_name(request.predict().model_name());
  start.set_model_version(3);
  start.set_request_id(request.predict().request_id());
  start.set_total_rows(rows);
  start.set_total_chunks(static_cast<std::int64_t>(events.size()) - 1);
  if (!request.ordered()) std::reverse(events.begin() + 1, events.end());
  *events.emplace_back().mutable_summary() = summary;
  return events;
}

// Ends a call before its first event. Deletes itself.
class RefusedStream : public grpc::ServerWriteReactor<v1::PredictStreamResponse> {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

class TestServer::Predictions : public v1::PredictionService::CallbackService {
 public:
  explicit Predictions(TestServer& server) : server_(server) {}

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override {
    server_.Note(*context);
    if (request->model_name() == "waits") return new WaitingCall(server_.waiting_, server_.cancelled_);
    context->AddTrailingMetadata("server-timing", kFakeTimings);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (request->model_name() == "busy") {
      context->AddTrailingMetadata("grpc-retry-pushback-ms", "250");
      reactor->Finish(Busy());
    } else if (request->inputs_size() != 1) {
      reactor->Finish({grpc::StatusCode::INVALID_ARGUMENT, "expected one input"});
    } else {
      response->set_model_name(request->model_name());
      response->set_model_version(3);
      response->set_request_id(request->request_id());
      reactor->Finish(Doubled(request->inputs(0), *response->add_outputs()));
    }
    return reactor;
  }

  grpc::ServerWriteReactor<v1::PredictStreamResponse>* PredictStream(grpc::CallbackServerContext* context,
                                                                     const v1::PredictStreamRequest* request) override {
    server_.Note(*context);
    context->AddTrailingMetadata("server-timing", kFakeTimings);
    server_.NoteStream(*request);
    if (request->predict().has_generation()) return WriteText(*request);
    if (request->predict().model_name() == "small" && request->ByteSizeLong() > kSmallRequest) {
      return new RefusedStream(
          {grpc::StatusCode::RESOURCE_EXHAUSTED, "the request is larger than --max-message-bytes"});
    }
    std::vector<v1::PredictStreamResponse> events = Events(*request);
    if (request->predict().model_name() != "waits") return new EventWriter(std::move(events), grpc::Status::OK);
    events.resize(2);
    return new EventWriter(std::move(events), server_.waiting_, server_.cancelled_);
  }

 private:
  grpc::ServerWriteReactor<v1::PredictStreamResponse>* WriteText(const v1::PredictStreamRequest& request) {
    const std::string& model = request.predict().model_name();
    if (model != "echo" && model != "rude") {
      return new RefusedStream({grpc::StatusCode::FAILED_PRECONDITION, model + " is no generator"});
    }
    if (const grpc::Status wrong = CheckGeneration(request); !wrong.ok()) return new RefusedStream(wrong);
    std::vector<v1::PredictStreamResponse> events = FakeGeneration(request);
    if (model == "rude") events[1].mutable_delta()->set_index(7);
    if (!NeverEnds(request)) return new EventWriter(std::move(events), grpc::Status::OK);
    return new EventWriter(std::move(events), server_.waiting_, server_.cancelled_);
  }

  TestServer& server_;
};

TestServer::TestServer()
    : models_(MakeFakeModelService(waiting_, cancelled_)), predictions_(std::make_unique<Predictions>(*this)) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  // Tests ping more often than servers allow.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.RegisterService(models_.get());
  builder.RegisterService(predictions_.get());
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

TestServer::~TestServer() {
  server_->Shutdown(std::chrono::system_clock::now());
}

std::shared_ptr<grpc::Channel> TestServer::InProcessChannel() {
  return server_->InProcessChannel({});
}

std::string TestServer::last_peer() const {
  absl::MutexLock lock(&mutex_);
  return last_peer_;
}

std::multimap<std::string, std::string> TestServer::last_metadata() const {
  absl::MutexLock lock(&mutex_);
  return last_metadata_;
}

v1::PredictStreamRequest TestServer::last_stream() const {
  absl::MutexLock lock(&mutex_);
  return last_stream_;
}

int TestServer::streams() const {
  absl::MutexLock lock(&mutex_);
  return streams_;
}

void TestServer::NoteStream(const v1::PredictStreamRequest& request) {
  absl::MutexLock lock(&mutex_);
  last_stream_ = request;
  ++streams_;
}

void TestServer::Note(const grpc::CallbackServerContext& context) {
  absl::MutexLock lock(&mutex_);
  last_peer_ = context.peer();
  last_metadata_.clear();
  for (const auto& [key, value] : context.client_metadata()) {
    last_metadata_.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
}

}  // namespace predictd
