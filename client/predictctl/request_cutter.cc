#include "client/predictctl/request_cutter.h"

#include <algorithm>
#include <utility>

#include "client/predictctl/prepare_request.h"
#include "client/predictctl/row_range.h"

namespace predictd {
namespace {

std::int64_t RowsOfAll(const v1::PredictRequest& request) {
  if (request.inputs().empty() || request.inputs(0).shape().empty()) return 0;
  const std::int64_t rows = request.inputs(0).shape(0);
  const bool alike = std::all_of(request.inputs().begin(), request.inputs().end(), [rows](const v1::Tensor& input) {
    return !input.shape().empty() && input.shape(0) == rows;
  });
  return alike ? rows : 0;
}

std::int64_t BytesOf(const v1::PredictStreamRequest& request) {
  return static_cast<std::int64_t>(request.ByteSizeLong());
}

}  // namespace

RequestCutter::RequestCutter(v1::PredictStreamRequest request, Encoding encoding, std::int64_t max_bytes)
    : request_(std::move(request)),
      encoding_(encoding),
      max_bytes_(max_bytes),
      rows_(RowsOfAll(request_.predict())),
      count_(rows_) {
  // Spares a copy of what does not fit; in the typed encoding it might.
  if (encoding_ != Encoding::kRaw || rows_ < 2) return;
  if (const std::int64_t bytes = BytesOf(request_); bytes > max_bytes_) count_ = Fewer(rows_, bytes);
}

absl::StatusOr<v1::PredictStreamRequest> RequestCutter::Next() {
  const bool is_whole = encoding_ == Encoding::kRaw && count_ == rows_;
  if (is_whole || rows_ < 2) {
    at_end_ = true;
    const absl::Status encoded = EncodeInputs(encoding_, *request_.mutable_predict());
    if (!encoded.ok()) return encoded;
    return std::move(request_);
  }
  std::int64_t count = std::min(count_, rows_ - first_row_);
  while (true) {
    absl::StatusOr<v1::PredictStreamRequest> part = Part(count);
    if (!part.ok()) return part.status();
    const std::int64_t bytes = BytesOf(*part);
    if (bytes > max_bytes_ && count > 1) {
      count = count_ = Fewer(count, bytes);
      continue;
    }
    first_row_ += count;
    at_end_ = first_row_ == rows_;
    has_cut_ = count < rows_;
    return part;
  }
}

absl::StatusOr<v1::PredictStreamRequest> RequestCutter::Part(std::int64_t count) const {
  v1::PredictStreamRequest part;
  part.set_chunk_rows(request_.chunk_rows());
  part.set_ordered(request_.ordered());
  part.set_on_error(request_.on_error());
  const v1::PredictRequest& whole = request_.predict();
  v1::PredictRequest& predict = *part.mutable_predict();
  predict.set_model_name(whole.model_name());
  predict.set_model_version(whole.model_version());
  predict.set_model_label(whole.model_label());
  predict.set_request_id(whole.request_id());
  *predict.mutable_outputs() = whole.outputs();
  *predict.mutable_parameters() = whole.parameters();
  for (const v1::Tensor& input : whole.inputs()) {
    absl::StatusOr<v1::Tensor> rows = RowsOf({first_row_, first_row_ + count}, input);
    if (!rows.ok()) return rows.status();
    *predict.add_inputs() = *std::move(rows);
  }
  if (absl::Status encoded = EncodeInputs(encoding_, predict); !encoded.ok()) return encoded;
  return part;
}

std::int64_t RequestCutter::Fewer(std::int64_t count, std::int64_t bytes_of_count) const {
  const double fraction = static_cast<double>(max_bytes_) / static_cast<double>(bytes_of_count);
  const auto likely = static_cast<std::int64_t>(static_cast<double>(count) * fraction);
  const std::int64_t fewer = std::clamp(likely, std::int64_t{1}, count - 1);
  const std::int64_t chunk = request_.chunk_rows();
  return chunk > 0 && fewer > chunk ? fewer - fewer % chunk : fewer;
}

}  // namespace predictd
