#include "server/services/infer_stream_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <inference/grpc_service.pb.h>

#include <array>
#include <climits>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "server/telemetry/call_metrics.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using inference::ModelInferRequest;
using inference::ModelStreamInferResponse;

constexpr char kFinal[] = "triton_final_response";
// An event loop looks for the labels, so not for long.
constexpr int kMaxFields = 64;
constexpr uint32_t kMaxLabel = 256;

constexpr uint32_t TextTag(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

// Where the text of a field belongs; null if it is no label.
std::string* LabelOf(uint32_t tag, InferLabels& labels) {
  switch (tag) {
    case TextTag(ModelInferRequest::kModelNameFieldNumber):
      return &labels.model_name;
    case TextTag(ModelInferRequest::kModelVersionFieldNumber):
      return &labels.model_version;
    case TextTag(ModelInferRequest::kIdFieldNumber):
      return &labels.id;
    default:
      return nullptr;
  }
}

// Reads one field, or skips it. False if nothing more can be read.
bool ReadField(uint32_t tag, CodedInputStream& in, InferLabels& labels) {
  // Within a group there may be any number of fields.
  if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_START_GROUP) return false;
  std::string* const label = LabelOf(tag, labels);
  if (label == nullptr) return WireFormatLite::SkipField(&in, tag);
  uint32_t length = 0;
  if (!in.ReadVarint32(&length) || length > INT_MAX) return false;
  label->clear();
  if (length > kMaxLabel) return in.Skip(static_cast<int>(length));
  if (!in.ReadString(label, static_cast<int>(length))) return false;
  if (!IsUtf8(*label)) label->clear();
  return true;
}

// A ModelInferResponse of nothing but this parameter. Two messages, one behind the other, are one message with the
// fields of both.
std::string FinalParameter(bool last) {
  inference::ModelInferResponse response;
  (*response.mutable_parameters())[kFinal].set_bool_param(last);
  return response.SerializeAsString();
}

}  // namespace

InferLabels ReadInferLabels(grpc::ByteBuffer& request) {
  InferLabels labels;
  grpc::ProtoBufferReader reader(&request);
  if (!reader.status().ok()) return labels;
  CodedInputStream in(&reader);
  for (int i = 0; i < kMaxFields; ++i) {
    const uint32_t tag = in.ReadTag();
    if (tag == 0 || !ReadField(tag, in, labels)) break;
  }
  return labels;
}

absl::StatusOr<grpc::ByteBuffer> WrapInferAnswer(const grpc::ByteBuffer& answer, bool last) {
  static const std::array<std::string, 2>* const kParameters =
      new std::array<std::string, 2>{FinalParameter(false), FinalParameter(true)};
  const std::string& parameter = (*kParameters)[last ? 1 : 0];
  const size_t size = answer.Length() + parameter.size();
  uint8_t head[16];
  uint8_t* end = CodedOutputStream::WriteTagToArray(TextTag(ModelStreamInferResponse::kInferResponseFieldNumber), head);
  end = CodedOutputStream::WriteVarint64ToArray(size, end);
  const auto head_size = static_cast<size_t>(end - head);
  if (size + head_size > INT_MAX) {
    return absl::ResourceExhaustedError(absl::StrCat("expected an answer of at most ", INT_MAX,
                                                     " bytes, which is what a message can have, got ", size));
  }
  std::vector<grpc::Slice> slices;
  if (!answer.Dump(&slices).ok()) return absl::InternalError("gRPC cannot read an answer");
  slices.insert(slices.begin(), grpc::Slice(head, head_size));
  slices.emplace_back(parameter);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::StatusOr<grpc::ByteBuffer> EncodeInferError(const google::rpc::Status& error, const InferLabels& labels) {
  CompactArena arena;
  auto* message = arena.Create<ModelStreamInferResponse>();
  const absl::string_view code = CodeName(error.code());
  // Clients tell errors by their text.
  message->set_error_message(error.message().empty() ? std::string(code) : error.message());
  inference::ModelInferResponse& response = *message->mutable_infer_response();
  response.set_model_name(labels.model_name);
  response.set_model_version(labels.model_version);
  response.set_id(labels.id);
  auto& parameters = *response.mutable_parameters();
  parameters[kFinal].set_bool_param(true);
  parameters["status_code"].set_string_param(code.data(), code.size());
  return SerializeMessage(*message);
}

}  // namespace predictd
