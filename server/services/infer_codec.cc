#include "server/services/infer_codec.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/rpc/message_bytes.h"
#include "server/services/infer_parameters.h"
#include "server/services/infer_shared_memory.h"
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

// How the inputs of one request have their elements.
struct InputElements {
  const std::shared_ptr<const ModelInferRequest>& request;
  const SharedMemoryRegions* regions;
  // How many inputs before this one have theirs in the request, and so in its raw contents if it has any.
  int in_request = 0;
};

// The tensor of an input.
std::optional<Tensor> DecodeInput(const ModelInferRequest::InferInputTensor& input, const InputElements& elements,
                                  const TensorSpec& spec, const std::string& path, FieldErrors& errors) {
  const ModelInferRequest& request = *elements.request;
  if (!input.datatype().empty() && input.datatype() != DTypeName(spec.dtype)) {
    errors.Add(path + ".datatype", absl::StrCat("expected ", DTypeName(spec.dtype), ", got '", input.datatype(), "'"));
    return std::nullopt;
  }
  const bool raw = !request.raw_input_contents().empty();
  const auto path_of = [&](absl::string_view field) {
    if (field == kRaw) return absl::StrCat(kRaw, "[", elements.in_request, "]");
    if (field == "shape") return absl::StrCat(path, ".shape");
    if (IsPlaceParameter(field)) return absl::StrCat(path, ".", ParameterPath(field));
    return absl::StrCat(path, ".contents.", field);
  };
  const SentTensor sent = {.spec = spec,
                           .shape = {input.shape().data(), static_cast<size_t>(input.shape_size())},
                           .owner = elements.request,
                           .path = path_of,
                           .errors = errors};
  if (IsShared(input.parameters(), elements.regions)) {
    if (input.has_contents()) errors.Add(path + ".contents", "expected none, as the elements are in shared memory");
    const auto place = ReadSharedPlace(input.parameters(), path, *elements.regions, errors);
    return place.has_value() ? FromSharedMemory(sent, *place) : std::nullopt;
  }
  if (raw && input.has_contents()) {
    errors.Add(path + ".contents", absl::StrCat("expected all elements either here or in ", kRaw, ", got both"));
    return std::nullopt;
  }
  // The number of raw contents has been checked.
  if (raw) return FromRaw(sent, request.raw_input_contents(elements.in_request), kRaw);
  return FromContents(sent, input.contents());
}

void ReadInputs(const std::shared_ptr<const ModelInferRequest>& request, const SharedMemoryRegions* regions,
                std::vector<std::string>& ignored, RequestBuilder& builder) {
  const auto in_request = std::count_if(request->inputs().begin(), request->inputs().end(),
                                        [&](const auto& input) { return !IsShared(input.parameters(), regions); });
  const int raw = request->raw_input_contents_size();
  if (raw != 0 && raw != in_request) {
    builder.errors.Add(kRaw, absl::StrCat("expected one for each of the ", in_request, " inputs",
                                          in_request == request->inputs_size() ? "" : " that are not in shared memory",
                                          ", got ", raw));
    return;
  }
  InputElements elements = {request, regions};
  for (int i = 0; i < request->inputs_size() && !builder.errors.full(); ++i) {
    const ModelInferRequest::InferInputTensor& input = request->inputs(i);
    const bool shared = IsShared(input.parameters(), regions);
    builder.AddInput(input.name(), [&](const TensorSpec& spec, const std::string& path) {
      std::optional<size_t> raw_bytes;
      if (raw != 0 && !shared) raw_bytes = request->raw_input_contents(elements.in_request).size();
      CheckTensorParameters(input.parameters(), path, shared, raw_bytes, ignored, builder.errors);
      return DecodeInput(input, elements, spec, path, builder.errors);
    });
    if (!shared) ++elements.in_request;
  }
  builder.EndInputs();
}

void ReadOutputs(const ModelInferRequest& request, const SharedMemoryRegions* regions,
                 std::vector<std::string>& ignored, RequestBuilder& builder) {
  std::vector<std::optional<SharedPlace>>& places = builder.decoded.shared_outputs;
  for (int i = 0; i < request.outputs_size() && !builder.errors.full(); ++i) {
    const ModelInferRequest::InferRequestedOutputTensor& output = request.outputs(i);
    const std::string path = absl::StrCat("outputs[", i, "]");
    builder.AddOutput(output.name(), path + ".name");
    const bool shared = IsShared(output.parameters(), regions);
    CheckTensorParameters(output.parameters(), path, shared, std::nullopt, ignored, builder.errors);
    if (!shared) continue;
    places.resize(static_cast<size_t>(request.outputs_size()));
    places[static_cast<size_t>(i)] = ReadSharedPlace(output.parameters(), path, *regions, builder.errors);
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

void ReadInferTensors(const std::shared_ptr<const ModelInferRequest>& request, const SharedMemoryRegions* regions,
                      std::vector<std::string>& ignored, RequestBuilder& builder) {
  ReadInputs(request, regions, ignored, builder);
  ReadOutputs(*request, regions, ignored, builder);
}

std::string ListIgnored(const std::vector<std::string>& names) {
  constexpr size_t kMost = 1024;
  return ToUtf8(absl::StrJoin(names, ","), kMost);
}

absl::StatusOr<DecodedPredict> DecodeInfer(const std::shared_ptr<const ModelInferRequest>& request,
                                           std::shared_ptr<const ServedVersion> target,
                                           const SharedMemoryRegions* regions) {
  RequestBuilder builder(std::move(target), "");
  DecodedPredict& decoded = builder.decoded;
  decoded.encoding = Encoding::kRaw;
  decoded.request_id = ReadRequestId(request->id(), "id", builder.errors);
  InferParameters parameters = ReadInferParameters(*request, builder.errors);
  std::vector<std::string>& ignored = parameters.others;
  ReadInferTensors(request, regions, ignored, builder);
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

namespace {

inference::ModelInferResponse::InferOutputTensor& AddOutput(const std::string& name, const Tensor& tensor,
                                                            inference::ModelInferResponse& response) {
  inference::ModelInferResponse::InferOutputTensor& output = *response.add_outputs();
  output.set_name(name);
  const absl::string_view datatype = DTypeName(tensor.dtype());
  output.set_datatype(datatype.data(), datatype.size());
  output.mutable_shape()->Add(tensor.shape().begin(), tensor.shape().end());
  return output;
}

}  // namespace

void AddInferOutput(const std::string& name, const Tensor& tensor, inference::ModelInferResponse& response) {
  AddOutput(name, tensor, response);
  EncodeRaw(tensor, *response.add_raw_output_contents());
}

absl::StatusOr<grpc::ByteBuffer> EncodeInfer(const DecodedPredict& request, absl::Span<const Tensor> outputs) {
  if (absl::Status fits = CheckAnswerSize(request, outputs, "fewer rows or fewer outputs"); !fits.ok()) return fits;
  CompactArena arena;
  auto* response = arena.Create<inference::ModelInferResponse>();
  FillInferHead(request, *response);
  const std::vector<TensorSpec>& specs = request.version->signature().outputs;
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    const int index = request.outputs[i];
    if (!outputs[index].present()) continue;
    const SharedPlace* const place = request.SharedOutput(i);
    if (place == nullptr) {
      AddInferOutput(specs[index].name, outputs[index], *response);
      continue;
    }
    auto& output = AddOutput(specs[index].name, outputs[index], *response);
    const std::string path = absl::StrCat("outputs[", i, "]");
    if (absl::Status put = ToSharedMemory(outputs[index], *place, path, output); !put.ok()) return put;
    // Raw contents stand at the same place as their output.
    response->add_raw_output_contents();
  }
  return SerializeMessage(*response);
}

}  // namespace predictd
