#include "server/services/predict_codec.h"

#include <algorithm>
#include <climits>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/status.h"
#include "server/services/chunk_size.h"
#include "server/services/field_errors.h"

namespace predictd {
namespace {

std::string SpecNames(const std::vector<TensorSpec>& specs) {
  return absl::StrJoin(specs, ", ", [](std::string* out, const TensorSpec& spec) { absl::StrAppend(out, spec.name); });
}

int IndexOf(const std::vector<TensorSpec>& specs, const std::string& name) {
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

// Reads one PredictRequest, which `owner` keeps alive. Field paths begin with `prefix`.
class PredictReader {
 public:
  PredictReader(const v1::PredictRequest& request, std::shared_ptr<const void> owner, std::string prefix,
                std::shared_ptr<const ServedVersion> target)
      : request_(request), owner_(std::move(owner)), prefix_(std::move(prefix)) {
    decoded_.cache = target->cache();
    decoded_.version = std::move(target);
  }

  // Everything that is wrong goes into errors().
  void ReadFields() {
    decoded_.request_id = ReadRequestId(request_, prefix_, errors_);
    ReadInputs();
    ReadOutputs();
    ReadParameters();
  }

  void CheckRows(int64_t max_rows, absl::string_view advice) {
    if (!errors_.empty() || !signature().batched) return;
    const std::vector<Tensor>& inputs = decoded_.inference.inputs;
    // A batched model has at least one input that is not optional.
    size_t first = 0;
    while (!inputs[first].present()) ++first;
    const int64_t rows = inputs[first].shape()[0];
    for (size_t i = first + 1; i < inputs.size() && !errors_.full(); ++i) {
      if (!inputs[i].present() || inputs[i].shape()[0] == rows) continue;
      errors_.Add(InputPath(signature().inputs[i].name) + ".shape",
                  absl::StrCat("expected ", rows, " rows as in ", signature().inputs[first].name, ", got ",
                               inputs[i].shape()[0]));
    }
    if (rows < 1 || rows > max_rows) {
      errors_.Add(InputPath(signature().inputs[first].name) + ".shape",
                  absl::StrCat("expected 1 to ", max_rows, " rows, got ", rows, advice));
    }
    decoded_.inference.rows = rows;
    for (const LengthError& error : CheckLengths(signature().padding, inputs)) {
      if (errors_.full()) return;
      errors_.Add(InputPath(signature().inputs[error.input].name) + ".shape", error.message);
    }
  }

  // Checks what the model requires beyond its signature.
  void CheckLimits() {
    if (!errors_.empty()) return;
    const InputLimits& limits = signature().limits;
    if (limits.extents.empty()) return;
    for (const LengthError& error : limits.Check(signature().padding, decoded_.inference.inputs)) {
      if (errors_.full()) return;
      errors_.Add(InputPath(signature().inputs[error.input].name) + ".shape", error.message);
    }
  }

  const Signature& signature() const { return decoded_.version->signature(); }
  bool memory_is_short() const {
    return signature().max_batch_size < decoded_.version->config().signature.max_batch_size;
  }
  // May be called only after CheckRows, and only if there are no errors.
  int64_t default_chunk_rows() const {
    return DefaultChunkRows(signature(), decoded_.inference.inputs, decoded_.outputs, decoded_.encoding);
  }
  int64_t rows() const { return decoded_.inference.rows; }
  FieldErrors& errors() { return errors_; }
  DecodedPredict Take() { return std::move(decoded_); }

 private:
  std::string InputPath(const std::string& name) const {
    for (int i = 0; i < request_.inputs_size(); ++i) {
      if (request_.inputs(i).name() == name) return absl::StrCat(prefix_, "inputs[", i, "]");
    }
    return prefix_ + "inputs";
  }

  void ReadInputs() {
    const std::vector<TensorSpec>& specs = signature().inputs;
    absl::InlinedVector<std::optional<Tensor>, 4> inputs(specs.size());
    absl::InlinedVector<bool, 8> seen(specs.size(), false);
    for (int i = 0; i < request_.inputs_size() && !errors_.full(); ++i) {
      const v1::Tensor& message = request_.inputs(i);
      const std::string path = absl::StrCat(prefix_, "inputs[", i, "]");
      const int index = IndexOf(specs, message.name());
      if (index < 0) {
        errors_.Add(path + ".name", absl::StrCat("expected one of ", SpecNames(specs), ", got '", message.name(), "'"));
        continue;
      }
      if (seen[index]) {
        errors_.Add(path + ".name", absl::StrCat("expected each input once, got ", message.name(), " again"));
        continue;
      }
      seen[index] = true;
      // Raw takes precedence over text, and text over typed.
      decoded_.encoding = std::max(decoded_.encoding, EncodingOf(message));
      inputs[index] = DecodeTensor(message, specs[index], owner_, path, errors_);
    }
    decoded_.inference.inputs.reserve(specs.size());
    for (size_t i = 0; i < specs.size() && !errors_.full(); ++i) {
      if (!seen[i] && specs[i].optional) inputs[i] = Tensor::Absent(specs[i].dtype);
      if (!seen[i] && !specs[i].optional) {
        errors_.Add(prefix_ + "inputs", absl::StrCat("expected the input ", specs[i].name, ", got none"));
      }
      if (inputs[i].has_value()) decoded_.inference.inputs.push_back(*std::move(inputs[i]));
    }
  }

  void ReadOutputs() {
    const std::vector<TensorSpec>& specs = signature().outputs;
    for (int i = 0; i < request_.outputs_size() && !errors_.full(); ++i) {
      const int index = IndexOf(specs, request_.outputs(i));
      const std::string path = absl::StrCat(prefix_, "outputs[", i, "]");
      if (index < 0) {
        errors_.Add(path, absl::StrCat("expected one of ", SpecNames(specs), ", got '", request_.outputs(i), "'"));
      } else if (std::count(decoded_.outputs.begin(), decoded_.outputs.end(), index) > 0) {
        errors_.Add(path, absl::StrCat("expected each output once, got ", request_.outputs(i), " again"));
      } else {
        decoded_.outputs.push_back(index);
      }
    }
    if (request_.outputs().empty()) {
      for (size_t i = 0; i < specs.size(); ++i) decoded_.outputs.push_back(static_cast<int>(i));
    }
  }

  void ReadParameters() {
    for (const auto& [name, parameter] : request_.parameters()) {
      if (errors_.full()) return;
      const std::string path = absl::StrCat(prefix_, "parameters[\"", name, "\"]");
      if (name == "priority") {
        decoded_.inference.priority = ReadPriority(parameter, path, errors_);
      } else if (name == "cache") {
        if (!ReadFlag(parameter, path, errors_)) decoded_.cache = nullptr;
      } else if (name != "output_encoding") {
        errors_.Add(path, "expected cache, output_encoding or priority, the parameters of a tensor model");
      } else if (parameter.string_value() == "typed") {
        decoded_.encoding = Encoding::kTyped;
      } else if (parameter.string_value() == "text") {
        decoded_.encoding = Encoding::kText;
      } else if (parameter.string_value() == "raw") {
        decoded_.encoding = Encoding::kRaw;
      } else {
        errors_.Add(path, R"(expected the string_value "typed", "text" or "raw")");
      }
    }
  }

  const v1::PredictRequest& request_;
  const std::shared_ptr<const void> owner_;
  const std::string prefix_;
  FieldErrors errors_;
  DecodedPredict decoded_;
};

// More rows than a message can hold.
constexpr int64_t kMaxStreamRows = int64_t{1} << 31;
// Each chunk is a message and a run of the model.
constexpr int64_t kMaxChunks = int64_t{1} << 20;

void ReadStreamOptions(const v1::PredictStreamRequest& request, PredictReader& reader, DecodedPredictStream& decoded) {
  const int64_t max_rows = reader.signature().max_batch_size;
  decoded.options.chunk_rows = request.chunk_rows();
  if (request.chunk_rows() == 0) {
    decoded.options.chunk_rows = reader.errors().empty() ? reader.default_chunk_rows() : max_rows;
  }
  if (decoded.options.chunk_rows < 1 || decoded.options.chunk_rows > max_rows) {
    reader.errors().Add("chunk_rows", absl::StrCat("expected 0 to ", max_rows, ", got ", request.chunk_rows()));
  }
  const int64_t rows = reader.rows();
  if (reader.errors().empty() && (rows - 1) / decoded.options.chunk_rows >= kMaxChunks) {
    reader.errors().Add("chunk_rows", absl::StrCat("expected at most ", kMaxChunks, " chunks, got ",
                                                   decoded.options.chunk_rows, " of ", rows, " rows"));
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
      reader.errors().Add("on_error", absl::StrCat("expected FAIL_FAST or PER_ITEM, got ", request.on_error()));
  }
}

template <class Message>
absl::Status EncodeOutputs(const DecodedPredict& request, absl::Span<const Tensor> outputs, Message& message) {
  const std::vector<TensorSpec>& specs = request.version->signature().outputs;
  int64_t bytes = 0;
  for (int index : request.outputs) {
    if (outputs[index].present()) bytes += EncodedBytes(outputs[index], request.encoding);
  }
  if (bytes > INT_MAX) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the outputs take ", bytes, " bytes, and a message can have ", INT_MAX,
                     ": ask for fewer rows, fewer outputs or the other output_encoding"));
  }
  for (int index : request.outputs) {
    if (!outputs[index].present()) continue;
    EncodeTensor(outputs[index], specs[index].name, request.encoding, *message.add_outputs());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedPredict> DecodePredict(const std::shared_ptr<const v1::PredictRequest>& request,
                                             std::shared_ptr<const ServedVersion> target) {
  PredictReader reader(*request, request, "", std::move(target));
  reader.ReadFields();
  const int64_t max_rows = reader.signature().max_batch_size;
  reader.CheckRows(max_rows, reader.memory_is_short()
                                 ? ", as there is no memory here for a larger batch; PredictStream takes more"
                                 : "; PredictStream takes more");
  reader.CheckLimits();
  if (!reader.errors().empty()) return reader.errors().ToStatus();
  return reader.Take();
}

absl::StatusOr<DecodedPredictStream> DecodePredictStream(const std::shared_ptr<const v1::PredictStreamRequest>& request,
                                                         std::shared_ptr<const ServedVersion> target, int window) {
  PredictReader reader(request->predict(), request, "predict.", std::move(target));
  reader.ReadFields();
  reader.CheckRows(kMaxStreamRows, "");
  reader.CheckLimits();
  DecodedPredictStream decoded;
  decoded.options.window = window;
  ReadStreamOptions(*request, reader, decoded);
  if (!reader.errors().empty()) return reader.errors().ToStatus();
  decoded.predict = reader.Take();
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
