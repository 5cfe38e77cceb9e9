#include "server/services/predict_codec.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/status.h"
#include "server/services/chunk_size.h"
#include "server/services/tensor_codec.h"

namespace predictd {
namespace {

void ReadInputs(const v1::PredictRequest& request, const std::shared_ptr<const void>& owner, RequestBuilder& builder) {
  for (const v1::Tensor& input : request.inputs()) {
    if (builder.errors.full()) break;
    builder.AddInput(input.name(), [&](const TensorSpec& spec, const std::string& path) {
      // Raw takes precedence over text, and text over typed.
      builder.decoded.encoding = std::max(builder.decoded.encoding, EncodingOf(input));
      return DecodeTensor(input, spec, owner, path, builder.errors);
    });
  }
  builder.EndInputs();
}

void ReadOutputs(const v1::PredictRequest& request, RequestBuilder& builder) {
  for (int i = 0; i < request.outputs_size() && !builder.errors.full(); ++i) {
    builder.AddOutput(request.outputs(i), absl::StrCat(builder.prefix(), "outputs[", i, "]"));
  }
  builder.EndOutputs();
}

void ReadParameters(const v1::PredictRequest& request, RequestBuilder& builder) {
  DecodedPredict& decoded = builder.decoded;
  for (const auto& [name, parameter] : request.parameters()) {
    if (builder.errors.full()) return;
    const std::string path = absl::StrCat(builder.prefix(), "parameters[\"", name, "\"]");
    if (name == "priority") {
      decoded.inference.priority = ReadPriority(parameter, path, builder.errors);
    } else if (name == "cache") {
      if (!ReadFlag(parameter, path, builder.errors)) decoded.cache = nullptr;
    } else if (name == kTrafficKey) {
      CheckTrafficKey(parameter, path, builder.errors);
    } else if (name != "output_encoding") {
      builder.errors.Add(path, "expected cache, output_encoding, priority or traffic_key, those of a tensor model");
    } else if (parameter.string_value() == "typed") {
      decoded.encoding = Encoding::kTyped;
    } else if (parameter.string_value() == "text") {
      decoded.encoding = Encoding::kText;
    } else if (parameter.string_value() == "raw") {
      decoded.encoding = Encoding::kRaw;
    } else {
      builder.errors.Add(path, R"(expected the string_value "typed", "text" or "raw")");
    }
  }
}

// Reads a request that `owner` keeps alive. Everything that is wrong goes into the builder's errors.
void ReadFields(const v1::PredictRequest& request, const std::shared_ptr<const void>& owner, RequestBuilder& builder) {
  builder.decoded.request_id =
      ReadRequestId(request.request_id(), absl::StrCat(builder.prefix(), "request_id"), builder.errors);
  ReadInputs(request, owner, builder);
  ReadOutputs(request, builder);
  ReadParameters(request, builder);
}

// More rows than a message can hold.
constexpr int64_t kMaxStreamRows = int64_t{1} << 31;
// Each chunk is a message and a run of the model.
constexpr int64_t kMaxChunks = int64_t{1} << 20;

void ReadStreamOptions(const v1::PredictStreamRequest& request, RequestBuilder& builder,
                       DecodedPredictStream& decoded) {
  FieldErrors& errors = builder.errors;
  const int64_t max_rows = builder.signature().max_batch_size;
  decoded.options.chunk_rows = request.chunk_rows();
  if (request.chunk_rows() == 0) {
    const DecodedPredict& predict = builder.decoded;
    decoded.options.chunk_rows = errors.empty() ? DefaultChunkRows(builder.signature(), predict.inference.inputs,
                                                                   predict.outputs, predict.encoding)
                                                : max_rows;
  }
  if (decoded.options.chunk_rows < 1 || decoded.options.chunk_rows > max_rows) {
    errors.Add("chunk_rows", absl::StrCat("expected 0 to ", max_rows, ", got ", request.chunk_rows()));
  }
  const int64_t rows = builder.decoded.inference.rows;
  if (errors.empty() && (rows - 1) / decoded.options.chunk_rows >= kMaxChunks) {
    errors.Add("chunk_rows", absl::StrCat("expected at most ", kMaxChunks, " chunks, got ", decoded.options.chunk_rows,
                                          " of ", rows, " rows"));
  }
  decoded.options.ordered = !request.has_ordered() || request.ordered();
  switch (request.on_error()) {
    case v1::CHUNK_ERROR_POLICY_UNSPECIFIED:
    case v1::CHUNK_ERROR_POLICY_FAIL_FAST:
      decoded.fail_fast = true;
      break;
    case v1::CHUNK_ERROR_POLICY_PER_ITEM:
      decoded.fail_fast = false;
      break;
    default:
      errors.Add("on_error", absl::StrCat("expected FAIL_FAST or PER_ITEM, got ", request.on_error()));
  }
}

template <class Message>
absl::Status EncodeOutputs(const DecodedPredict& request, absl::Span<const Tensor> outputs, Message& message) {
  const std::vector<TensorSpec>& specs = request.version->signature().outputs;
  absl::Status fits = CheckAnswerSize(request, outputs, "fewer rows, fewer outputs or the other output_encoding");
  if (!fits.ok()) return fits;
  for (int index : request.outputs) {
    if (!outputs[index].present()) continue;
    EncodeTensor(outputs[index], specs[index].name, request.encoding, *message.add_outputs());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedPredict> DecodePredict(const std::shared_ptr<const v1::PredictRequest>& request,
                                             std::shared_ptr<const ServedVersion> target) {
  RequestBuilder builder(std::move(target), "");
  ReadFields(*request, request, builder);
  builder.CheckRowsOfOneRun("PredictStream takes more");
  builder.CheckLimits();
  if (!builder.errors.empty()) return builder.errors.ToStatus();
  return std::move(builder.decoded);
}

absl::StatusOr<DecodedPredictStream> DecodePredictStream(const std::shared_ptr<const v1::PredictStreamRequest>& request,
                                                         std::shared_ptr<const ServedVersion> target, int window) {
  RequestBuilder builder(std::move(target), "predict.");
  ReadFields(request->predict(), request, builder);
  builder.CheckRows(kMaxStreamRows);
  builder.CheckLimits();
  DecodedPredictStream decoded;
  decoded.options.window = window;
  ReadStreamOptions(*request, builder, decoded);
  if (!builder.errors.empty()) return builder.errors.ToStatus();
  decoded.predict = std::move(builder.decoded);
  return decoded;
}

absl::StatusOr<grpc::ByteBuffer> EncodePredict(const DecodedPredict& request, absl::Span<const Tensor> outputs) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictResponse>();
  response->set_model_name(request.version->model());
  response->set_model_version(request.version->number());
  response->set_request_id(request.request_id);
  if (absl::Status status = EncodeOutputs(request, outputs, *response); !status.ok()) return status;
  return SerializeMessage(*response);
}

absl::StatusOr<grpc::ByteBuffer> EncodeStreamStart(const DecodedPredict& request, int64_t total_chunks) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictStreamResponse>();
  v1::StreamStart& start = *response->mutable_start();
  start.set_model_name(request.version->model());
  start.set_model_version(request.version->number());
  start.set_request_id(request.request_id);
  start.set_total_rows(request.inference.rows);
  start.set_total_chunks(total_chunks);
  return SerializeMessage(*response);
}

absl::StatusOr<grpc::ByteBuffer> EncodeRows(const DecodedPredict& request, const RowStream::Chunk& chunk) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictStreamResponse>();
  v1::RowsResult& rows = *response->mutable_rows();
  rows.set_first_row(chunk.first_row);
  rows.set_row_count(chunk.rows);
  if (chunk.result.ok()) {
    if (absl::Status status = EncodeOutputs(request, chunk.result->outputs, rows); !status.ok()) return status;
  } else {
    *rows.mutable_error() = ToRpcStatus(chunk.result.status(), request.version->model());
  }
  return SerializeMessage(*response);
}

absl::StatusOr<grpc::ByteBuffer> EncodeStreamSummary(int64_t rows_ok, int64_t rows_failed) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictStreamResponse>();
  response->mutable_summary()->set_rows_ok(rows_ok);
  response->mutable_summary()->set_rows_failed(rows_failed);
  return SerializeMessage(*response);
}

}  // namespace predictd
