#include "server/services/infer_codec.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/rpc/message_bytes.h"
#include "server/services/infer_parameters.h"
#include "server/services/tensor_elements.h"
#include "server/services/value_fields.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

using inference::InferTensorContents;
using inference::ModelInferRequest;
using Contents = ValueFields<InferTensorContents>;

// The names of fields that have elements, for SentTensor::path.
constexpr absl::string_view kRaw = "raw_input_contents";

// The protocol has no typed elements of these.
bool IsRawOnly(DType dtype) {
  return dtype == DType::kFp16 || dtype == DType::kBf16;
}

std::string ContentsNames(DType dtype) {
  if (IsRawOnly(dtype)) return std::string(kRaw);
  return absl::StrCat("contents.", FieldName<InferTensorContents>(FieldOf<InferTensorContents>(dtype)), " or ", kRaw);
}

FilledFields FilledIn(const InferTensorContents& contents) {
  FilledFields filled = FilledNumbers(contents);
  if (!contents.bytes_contents().empty()) filled.push_back({Contents::kBytes});
  return filled;
}

std::optional<Tensor> FromContents(const SentTensor& sent, const InferTensorContents& contents) {
  const DType dtype = sent.spec.dtype;
  const int wanted = FieldOf<InferTensorContents>(dtype);
  const FilledFields filled = FilledIn(contents);
  for (const FilledField& part : filled) {
    if (part.field == wanted && !IsRawOnly(dtype)) continue;
    const std::string& name = FieldName<InferTensorContents>(part.field);
    sent.errors.Add(sent.path(name), absl::StrCat("expected the elements of ", DTypeName(dtype), " in ",
                                                  ContentsNames(dtype), ", got contents.", name));
    return std::nullopt;
  }
  if (dtype == DType::kBytes) return FromStrings(sent, contents.bytes_contents());
  const FilledField numbers = filled.empty() ? FilledField{wanted} : filled[0];
  return FromNumbers(sent, numbers.numbers, numbers.size, FieldName<InferTensorContents>(numbers.field));
}

// The tensor of an input, which is the one at `place` in the request.
std::optional<Tensor> DecodeInput(const ModelInferRequest& request, int place, const TensorSpec& spec,
                                  const std::shared_ptr<const void>& owner, const std::string& path,
                                  FieldErrors& errors) {
  const ModelInferRequest::InferInputTensor& input = request.inputs(place);
  if (!input.datatype().empty() && input.datatype() != DTypeName(spec.dtype)) {
    errors.Add(path + ".datatype", absl::StrCat("expected ", DTypeName(spec.dtype), ", got '", input.datatype(), "'"));
    return std::nullopt;
  }
  const bool raw = !request.raw_input_contents().empty();
  const auto path_of = [&](absl::string_view field) {
    if (field == kRaw) return absl::StrCat(kRaw, "[", place, "]");
    if (field == "shape") return absl::StrCat(path, ".shape");
    return absl::StrCat(path, ".contents.", field);
  };
  const SentTensor sent = {.spec = spec,
                           .shape = {input.shape().data(), static_cast<size_t>(input.shape_size())},
                           .owner = owner,
                           .path = path_of,
                           .errors = errors};
  if (raw && input.has_contents()) {
    errors.Add(path + ".contents", absl::StrCat("expected all elements either here or in ", kRaw, ", got both"));
    return std::nullopt;
  }
  // The number of raw contents has been checked.
  if (raw) return FromRaw(sent, request.raw_input_contents(place), kRaw);
  return FromContents(sent, input.contents());
}

void ReadInputs(const std::shared_ptr<const ModelInferRequest>& request, std::vector<std::string>& ignored,
                RequestBuilder& builder) {
  const int raw = request->raw_input_contents_size();
  if (raw != 0 && raw != request->inputs_size()) {
    builder.errors.Add(kRaw,
                       absl::StrCat("expected one for each of the ", request->inputs_size(), " inputs, got ", raw));
    return;
  }
  for (int i = 0; i < request->inputs_size() && !builder.errors.full(); ++i) {
    const ModelInferRequest::InferInputTensor& input = request->inputs(i);
    builder.AddInput(input.name(), [&](const TensorSpec& spec, const std::string& path) {
      const auto raw_bytes = raw == 0 ? std::nullopt : std::optional(request->raw_input_contents(i).size());
      CheckTensorParameters(input.parameters(), path, raw_bytes, ignored, builder.errors);
      return DecodeInput(*request, i, spec, request, path, builder.errors);
    });
  }
  builder.EndInputs();
}

void ReadOutputs(const ModelInferRequest& request, std::vector<std::string>& ignored, RequestBuilder& builder) {
  for (int i = 0; i < request.outputs_size() && !builder.errors.full(); ++i) {
    const std::string path = absl::StrCat("outputs[", i, "]");
    builder.AddOutput(request.outputs(i).name(), path + ".name");
    CheckTensorParameters(request.outputs(i).parameters(), path, std::nullopt, ignored, builder.errors);
  }
  builder.EndOutputs();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ServedVersion>> FindInferTarget(const ModelInferRequest& request,
                                                                     const CatalogSnapshot& models,
                                                                     RequestSubject& subject) {
  subject.request_id = ShownRequestId(request.id());
  FieldErrors errors;
  if (request.model_name().empty()) errors.Add("model_name", "expected the name of a model, got none");
  const VersionName version = ReadVersion(request.model_version(), "model_version", errors);
  if (!errors.empty()) return errors.ToStatus();
  WantedVersion wanted = {.model = request.model_name(), .number = version.number, .label = version.label};
  if (!request.parameters().empty()) {
    const auto key = request.parameters().find(kTrafficKey);
    if (key != request.parameters().end()) wanted.traffic_key = key->second.string_param();
  }
  return FindVersion(wanted, models, subject);
}

void ReadInferTensors(const std::shared_ptr<const ModelInferRequest>& request, std::vector<std::string>& ignored,
                      RequestBuilder& builder) {
  ReadInputs(request, ignored, builder);
  ReadOutputs(*request, ignored, builder);
}

std::string ListIgnored(const std::vector<std::string>& names) {
  constexpr size_t kMost = 1024;
  return ToUtf8(absl::StrJoin(names, ","), kMost);
}

absl::StatusOr<DecodedPredict> DecodeInfer(const std::shared_ptr<const ModelInferRequest>& request,
                                           std::shared_ptr<const ServedVersion> target) {
  RequestBuilder builder(std::move(target), "");
  DecodedPredict& decoded = builder.decoded;
  decoded.encoding = Encoding::kRaw;
  decoded.request_id = ReadRequestId(request->id(), "id", builder.errors);
  InferParameters parameters = ReadInferParameters(*request, builder.errors);
  std::vector<std::string>& ignored = parameters.others;
  ReadInferTensors(request, ignored, builder);
  builder.CheckRowsOfOneRun("predictd.v1.PredictionService/PredictStream takes more");
  builder.CheckLimits();
  if (!builder.errors.empty()) return builder.errors.ToStatus();
  decoded.inference.priority = parameters.priority;
  decoded.timeout = parameters.timeout;
  if (!parameters.cache) decoded.cache = nullptr;
  decoded.ignored_parameters = ListIgnored(ignored);
  return std::move(decoded);
}

void FillInferHead(const DecodedPredict& request, inference::ModelInferResponse& response) {
  response.set_model_name(request.version->model());
  response.set_model_version(absl::StrCat(request.version->number()));
  response.set_id(request.request_id);
  if (request.ignored_parameters.empty()) return;
  (*response.mutable_parameters())["ignored_parameters"].set_string_param(request.ignored_parameters);
}

void AddInferOutput(const std::string& name, const Tensor& tensor, inference::ModelInferResponse& response) {
  inference::ModelInferResponse::InferOutputTensor& output = *response.add_outputs();
  output.set_name(name);
  const absl::string_view datatype = DTypeName(tensor.dtype());
  output.set_datatype(datatype.data(), datatype.size());
  output.mutable_shape()->Add(tensor.shape().begin(), tensor.shape().end());
  EncodeRaw(tensor, *response.add_raw_output_contents());
}

absl::StatusOr<grpc::ByteBuffer> EncodeInfer(const DecodedPredict& request, absl::Span<const Tensor> outputs) {
  if (absl::Status fits = CheckAnswerSize(request, outputs, "fewer rows or fewer outputs"); !fits.ok()) return fits;
  CompactArena arena;
  auto* response = arena.Create<inference::ModelInferResponse>();
  FillInferHead(request, *response);
  const std::vector<TensorSpec>& specs = request.version->signature().outputs;
  for (int index : request.outputs) {
    if (outputs[index].present()) AddInferOutput(specs[index].name, outputs[index], *response);
  }
  return SerializeMessage(*response);
}

}  // namespace predictd
