#include "server/services/infer_generation.h"

#include <predictd/v1/prediction_service.pb.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "server/services/generation_handler.h"
#include "server/services/infer_codec.h"
#include "server/services/infer_parameters.h"
#include "server/services/infer_sampling.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

// The inputs, in the order of the signature.
enum GeneratorInput { kTextInput, kStream, kSampling, kExcludeInput };

constexpr GenerationPaths kInferPaths = {"", kSamplingPath, "text_input"};

struct DecodedInferGeneration {
  // Its inference is not used.
  DecodedPredict head;
  std::shared_ptr<v1::PredictRequest> request;
  // The text that stands before each answer.
  std::string echo;
};

// The only element of a BOOL input; false if it is absent.
bool FlagOf(const Tensor& tensor) {
  return tensor.present() && tensor.data()[0] != std::byte{0};
}

// Takes the parameters of sampling out of the others.
std::vector<std::string> ReadSampling(const inference::ModelInferRequest& request,
                                      const std::vector<std::string>& others, v1::GenerationRequest& generation,
                                      bool& stream, FieldErrors& errors) {
  std::vector<std::string> ignored;
  for (const std::string& name : others) {
    const inference::InferParameter& parameter = request.parameters().at(name);
    if (name == "stream" && parameter.parameter_choice_case() == inference::InferParameter::kBoolParam) {
      stream = stream || parameter.bool_param();
    } else if (!ReadSamplingParameter(name, parameter, generation, errors)) {
      ignored.push_back(name);
    }
  }
  return ignored;
}

absl::StatusOr<DecodedInferGeneration> Decode(const std::shared_ptr<const inference::ModelInferRequest>& request,
                                              std::shared_ptr<const ServedVersion> target) {
  DecodedInferGeneration read;
  read.request = std::make_shared<v1::PredictRequest>();
  v1::GenerationRequest& generation = *read.request->mutable_generation();
  RequestBuilder builder(std::move(target), "", &InferGeneratorSignature());
  FieldErrors& errors = builder.errors;
  const InferParameters parameters = ReadInferParameters(*request, errors);
  bool stream = false;
  std::vector<std::string> ignored = ReadSampling(*request, parameters.others, generation, stream, errors);
  builder.decoded.request_id = ReadRequestId(request->id(), "id", errors);
  ReadInferTensors(request, nullptr, ignored, builder);
  if (!errors.empty()) return errors.ToStatus();

  const std::vector<Tensor>& inputs = builder.decoded.inference.inputs;
  const std::string& text = inputs[kTextInput].strings()[0];
  if (!IsUtf8(text)) errors.Add("text_input", "expected text in UTF-8");
  if (stream || FlagOf(inputs[kStream])) {
    errors.Add("stream",
               "expected false, as ModelInfer sends one answer; predictd.v1.PredictionService/PredictStream "
               "sends text as it is generated");
  }
  if (inputs[kSampling].present()) ReadSamplingJson(inputs[kSampling].strings()[0], generation, errors);
  if (!errors.empty()) return errors.ToStatus();
  generation.set_text(text);
  (*read.request->mutable_parameters())["priority"].set_int64_value(parameters.priority);
  (*read.request->mutable_parameters())["cache"].set_bool_value(parameters.cache);
  if (!FlagOf(inputs[kExcludeInput])) read.echo = text;
  builder.decoded.timeout = parameters.timeout;
  builder.decoded.ignored_parameters = ListIgnored(ignored);
  read.head = std::move(builder.decoded);
  read.head.inference = {};
  return read;
}

absl::StatusOr<grpc::ByteBuffer> Encode(const DecodedInferGeneration& request, absl::Span<const AnswerPiece> answers) {
  std::vector<std::string> texts;
  texts.reserve(answers.size());
  for (const AnswerPiece& answer : answers) texts.push_back(absl::StrCat(request.echo, answer.text));
  const auto count = static_cast<int64_t>(texts.size());
  const Tensor output({count}, std::make_shared<const std::vector<std::string>>(std::move(texts)));
  CompactArena arena;
  auto* response = arena.Create<inference::ModelInferResponse>();
  FillInferHead(request.head, *response);
  AddInferOutput(InferGeneratorSignature().outputs[0].name, output, *response);
  return SerializeMessage(*response);
}

}  // namespace

const Signature& InferGeneratorSignature() {
  static const Signature* const signature = [] {
    auto* made = new Signature;
    made->inputs = {{"text_input", DType::kBytes, {1}},
                    {"stream", DType::kBool, {1}},
                    {"sampling_parameters", DType::kBytes, {1}},
                    {"exclude_input_in_output", DType::kBool, {1}}};
    for (size_t i = 1; i < made->inputs.size(); ++i) made->inputs[i].optional = true;
    made->outputs = {{"text_output", DType::kBytes, {-1}}};
    made->batched = false;
    return made;
  }();
  return *signature;
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleInferGeneration(
    Call& call, std::shared_ptr<const inference::ModelInferRequest> request,
    std::shared_ptr<const ServedVersion> target) {
  const TimePoint started = std::chrono::steady_clock::now();
  // The text is copied into the tensor, the prompt, and the answer.
  const auto copies = static_cast<int64_t>(3 * request->ByteSizeLong());
  if (absl::Status status = call.Hold(copies); !status.ok()) co_return status;
  const absl::StatusOr<DecodedInferGeneration> decoded = Decode(request, target);
  if (!decoded.ok()) co_return decoded.status();
  request.reset();
  if (decoded->head.timeout.has_value()) {
    Call::Hurry hurry = call.EndBy(started + *decoded->head.timeout);
    co_await hurry;
  }
  Task<absl::StatusOr<FinishedGeneration>> generate = Generate(call, decoded->request, std::move(target), kInferPaths);
  const absl::StatusOr<FinishedGeneration> finished = co_await generate;
  if (!finished.ok()) co_return finished.status();
  co_return Encode(*decoded, finished->answers);
}

}  // namespace predictd
