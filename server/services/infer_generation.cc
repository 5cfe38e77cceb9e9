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
#include "server/services/work_report.h"
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
  bool stream = false;
  bool empty_final_response = false;
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
                                              std::shared_ptr<const ServedVersion> target, bool may_stream) {
  DecodedInferGeneration read;
  read.request = std::make_shared<v1::PredictRequest>();
  v1::GenerationRequest& generation = *read.request->mutable_generation();
  RequestBuilder builder(std::move(target), "", &InferGeneratorSignature());
  FieldErrors& errors = builder.errors;
  const InferParameters parameters = ReadInferParameters(*request, errors);
  std::vector<std::string> ignored = ReadSampling(*request, parameters.others, generation, read.stream, errors);
  builder.decoded.request_id = ReadRequestId(request->id(), "id", errors);
  ReadInferTensors(request, nullptr, ignored, builder);
  if (!errors.empty()) return errors.ToStatus();

  const std::vector<Tensor>& inputs = builder.decoded.inference.inputs;
  const std::string& text = inputs[kTextInput].strings()[0];
  if (!IsUtf8(text)) errors.Add("text_input", "expected text in UTF-8");
  read.stream = read.stream || FlagOf(inputs[kStream]);
  if (read.stream && !may_stream) {
    errors.Add("stream",
               "expected false, as ModelInfer sends one answer; ModelStreamInfer and "
               "predictd.v1.PredictionService/PredictStream send text as it is generated");
  }
  // A piece that repeats the text would be of no use, so here it is left out by default.
  const Tensor& exclude = inputs[kExcludeInput];
  if (read.stream && exclude.present() && !FlagOf(exclude)) {
    errors.Add("exclude_input_in_output", "expected true or nothing, as a stream has only new text");
  }
  if (inputs[kSampling].present()) ReadSamplingJson(inputs[kSampling].strings()[0], generation, errors);
  if (!errors.empty()) return errors.ToStatus();
  generation.set_text(text);
  (*read.request->mutable_parameters())["priority"].set_int64_value(parameters.priority);
  (*read.request->mutable_parameters())["cache"].set_bool_value(parameters.cache);
  if (!read.stream && !FlagOf(exclude)) read.echo = text;
  read.empty_final_response = parameters.empty_final_response;
  builder.decoded.timeout = parameters.timeout;
  builder.decoded.ignored_parameters = ListIgnored(ignored);
  read.head = std::move(builder.decoded);
  read.head.inference = {};
  return read;
}

// Encodes the whole answers, or what is new of each of so many.
absl::StatusOr<grpc::ByteBuffer> Encode(const DecodedInferGeneration& request, absl::Span<const AnswerPiece> pieces,
                                        int answers) {
  std::vector<std::string> texts(static_cast<size_t>(answers), request.echo);
  for (const AnswerPiece& piece : pieces) texts[static_cast<size_t>(piece.index)] += piece.text;
  const auto count = static_cast<int64_t>(texts.size());
  const Tensor output({count}, std::make_shared<const std::vector<std::string>>(std::move(texts)));
  CompactArena arena;
  auto* response = arena.Create<inference::ModelInferResponse>();
  FillInferHead(request.head, *response);
  AddInferOutput(InferGeneratorSignature().outputs[0].name, output, *response);
  return SerializeMessage(*response);
}

// An answer without outputs.
absl::StatusOr<grpc::ByteBuffer> EncodeEnd(const DecodedInferGeneration& request) {
  CompactArena arena;
  auto* response = arena.Create<inference::ModelInferResponse>();
  FillInferHead(request.head, *response);
  return SerializeMessage(*response);
}

// Sends the pieces, and returns the last answer.
Task<absl::StatusOr<grpc::ByteBuffer>> SendPieces(const DecodedInferGeneration& request, BegunGeneration& begun,
                                                  const SendInferAnswer& send) {
  const int answers = begun.request.answers;
  int running = answers;
  while (true) {
    const absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await begun.answers.Next();
    if (!pieces.ok()) co_return pieces.status();
    for (const AnswerPiece& piece : *pieces) running -= piece.finish_reason.has_value() ? 1 : 0;
    absl::StatusOr<grpc::ByteBuffer> answer = Encode(request, *pieces, answers);
    if (!answer.ok() || (running == 0 && !request.empty_final_response)) co_return answer;
    Task<absl::Status> sending = send(*std::move(answer));
    if (absl::Status sent = co_await sending; !sent.ok()) co_return sent;
    if (running == 0) co_return EncodeEnd(request);
  }
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
    ServedRequest& served, std::shared_ptr<const inference::ModelInferRequest> request,
    std::shared_ptr<const ServedVersion> target, const SendInferAnswer* send) {
  const TimePoint started = std::chrono::steady_clock::now();
  // The text is copied into the tensor, the prompt, and the answer.
  const auto copies = static_cast<int64_t>(3 * request->ByteSizeLong());
  if (absl::Status status = served.Hold(copies); !status.ok()) co_return status;
  const absl::StatusOr<DecodedInferGeneration> decoded = Decode(request, target, /*may_stream=*/send != nullptr);
  if (!decoded.ok()) co_return decoded.status();
  request.reset();
  if (decoded->head.timeout.has_value()) {
    ServedRequest::Hurry hurry = served.EndBy(started + *decoded->head.timeout);
    co_await hurry;
  }
  if (!decoded->stream) {
    Task<absl::StatusOr<FinishedGeneration>> generate =
        Generate(served, decoded->request, std::move(target), kInferPaths);
    const absl::StatusOr<FinishedGeneration> finished = co_await generate;
    if (!finished.ok()) co_return finished.status();
    co_return Encode(*decoded, finished->answers, finished->request.answers);
  }
  Task<absl::StatusOr<BegunGeneration>> begin =
      BeginGeneration(served, decoded->request, std::move(target), kInferPaths);
  absl::StatusOr<BegunGeneration> begun = co_await begin;
  if (!begun.ok()) co_return begun.status();
  Task<absl::StatusOr<grpc::ByteBuffer>> sending = SendPieces(*decoded, *begun, *send);
  absl::StatusOr<grpc::ByteBuffer> last = co_await sending;
  ReportGeneration(served.report(), begun->answers.timings());
  co_return last;
}

}  // namespace predictd
