#include "tests/bench/transport/echo_stream.h"

#include <cstdint>
#include <string>
#include <utility>

namespace predictd::bench {
namespace {

// One stream, from its posted accept to its status. It owns itself.
class StreamEcho final : public EchoTag {
 public:
  StreamEcho(v1::PredictionService::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), writer_(&context_) {
    service.RequestPredictStream(&context_, &request_, &writer_, &queue, &queue, static_cast<EchoTag*>(this));
  }

  void Proceed(bool ok) override {
    // An accept that the shutdown ended, a write that nobody reads, or the end.
    if (!ok || state_ == State::kFinished) {
      delete this;
      return;
    }
    switch (state_) {
      case State::kWaiting:
        PostStreamEcho(service_, queue_);
        Start();
        break;
      case State::kRows:
        next_row_ < total_rows_ ? WriteRow() : WriteSummary();
        break;
      case State::kSummary:
        Finish(grpc::Status::OK);
        break;
      case State::kFinished:
        break;
    }
  }

 private:
  enum class State { kWaiting, kRows, kSummary, kFinished };

  void Start() {
    const v1::PredictRequest& predict = request_.predict();
    if (predict.inputs().empty() || predict.inputs(0).shape().empty() || predict.inputs(0).shape(0) < 1) {
      Finish({grpc::StatusCode::INVALID_ARGUMENT, "predict.inputs: expected a tensor with rows"});
      return;
    }
    const v1::Tensor& input = predict.inputs(0);
    total_rows_ = input.shape(0);
    row_bytes_ = input.raw().size() / static_cast<size_t>(total_rows_);
    v1::PredictStreamResponse response;
    v1::StreamStart& start = *response.mutable_start();
    start.set_model_name(predict.model_name());
    start.set_model_version(1);
    start.set_request_id(predict.request_id());
    start.set_total_rows(total_rows_);
    start.set_total_chunks(total_rows_);
    v1::RowsResult& rows = *row_.mutable_rows();
    rows.set_row_count(1);
    v1::Tensor& output = *rows.add_outputs();
    output.set_name("y");
    output.set_dtype(input.dtype());
    *output.mutable_shape() = input.shape();
    output.set_shape(0, 1);
    state_ = State::kRows;
    writer_.Write(response, static_cast<EchoTag*>(this));
  }

  // Changes only what differs from one row to the next.
  void WriteRow() {
    v1::RowsResult& rows = *row_.mutable_rows();
    rows.set_first_row(next_row_);
    const std::string& raw = request_.predict().inputs(0).raw();
    rows.mutable_outputs(0)->mutable_raw()->assign(raw, static_cast<size_t>(next_row_) * row_bytes_, row_bytes_);
    ++next_row_;
    writer_.Write(row_, static_cast<EchoTag*>(this));
  }

  void WriteSummary() {
    v1::PredictStreamResponse response;
    response.mutable_summary()->set_rows_ok(total_rows_);
    state_ = State::kSummary;
    writer_.Write(response, static_cast<EchoTag*>(this));
  }

  void Finish(const grpc::Status& status) {
    state_ = State::kFinished;
    writer_.Finish(status, static_cast<EchoTag*>(this));
  }

  v1::PredictionService::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  v1::PredictStreamRequest request_;
  grpc::ServerAsyncWriter<v1::PredictStreamResponse> writer_;
  v1::PredictStreamResponse row_;
  State state_ = State::kWaiting;
  int64_t next_row_ = 0;
  int64_t total_rows_ = 0;
  size_t row_bytes_ = 0;
};

}  // namespace

void PostStreamEcho(v1::PredictionService::AsyncService& service, grpc::ServerCompletionQueue& queue) {
  new StreamEcho(service, queue);
}

}  // namespace predictd::bench
