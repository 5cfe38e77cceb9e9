#include "server/services/generation_codec.h"

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "server/engine/inference.h"
#include "server/rpc/duration_field.h"
#include "server/rpc/message_bytes.h"
#include "server/services/field_errors.h"
#include "server/services/prompt_codec.h"

namespace predictd {
namespace {

constexpr int kMaxAnswers = 16;
constexpr int kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 256;
constexpr int kMaxStopTokens = 64;
// Each answer looks at all biases before each token.
constexpr int kMaxBiases = 1024;
uint64_t RandomSeed() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator();
}

// The fields of a GenerationRequest have the same names in generation/ and in the protocol.
std::string PathOf(absl::string_view field, const GenerationPaths& paths) {
  const bool is_prompt = field == "text" || field == "prompt";
  return is_prompt && !paths.prompt.empty() ? std::string(paths.prompt) : absl::StrCat(paths.generation, field);
}

// Adds an error that names its field, as "field: expected ..., got ...".
void AddNamed(const absl::Status& error, const GenerationPaths& paths, FieldErrors& errors) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(error.message(), absl::MaxSplits(": ", 1));
  errors.Add(PathOf(parts.first, paths), parts.second);
}

// Reads the generation of one PredictRequest.
class GenerationReader {
 public:
  GenerationReader(const v1::PredictRequest& request, const GenerationPaths& paths,
                   std::shared_ptr<const ServedVersion> target)
      : request_(request),
        generation_(request.generation()),
        paths_(paths),
        generator_(*target->generator()),
        vocabulary_(generator_.config().vocabulary_size) {
    decoded_.version = std::move(target);
    decoded_.generation.priority = kDefaultPriority;
  }

  absl::StatusOr<DecodedGeneration> Read() {
    decoded_.request_id = ReadRequestId(request_.request_id(), absl::StrCat(paths_.request, "request_id"), errors_);
    ReadParameters();
    ReadSampling();
    ReadEnds();
    ReadMaxTokens();
    decoded_.generation.prompt = ReadPrompt(generation_);
    absl::StatusOr<std::vector<WrongField>> wrong = generator_.prompts().Check(decoded_.generation.prompt);
    if (!wrong.ok()) return wrong.status();
    for (const auto& [field, description] : *wrong) errors_.Add(Path(field), description);
    if (!errors_.empty()) return errors_.ToStatus();
    return std::move(decoded_);
  }

 private:
  std::string Path(absl::string_view field) const { return PathOf(field, paths_); }

  template <class T>
  void CheckRange(absl::string_view field, T value, T least, T most) {
    if (value >= least && value <= most) return;
    errors_.Add(Path(field), absl::StrCat("expected ", least, " to ", most, ", got ", value));
  }

  bool IsToken(int32_t id) const { return id >= 0 && id < vocabulary_; }

  void FailToken(const std::string& field, int32_t id) {
    errors_.Add(Path(field), absl::StrCat("expected a token id from 0 to ", vocabulary_ - 1, ", got ", id));
  }

  void ReadParameters() {
    for (const auto& [name, parameter] : request_.parameters()) {
      if (errors_.full()) return;
      const std::string path = absl::StrCat(paths_.request, "parameters[\"", name, "\"]");
      if (name == "priority") {
        decoded_.generation.priority = ReadPriority(parameter, path, errors_);
      } else if (name == "cache") {
        decoded_.generation.options.reuse_prefix = ReadFlag(parameter, path, errors_);
      } else if (name == kTrafficKey) {
        CheckTrafficKey(parameter, path, errors_);
      } else {
        errors_.Add(path, "expected cache, priority or traffic_key, the parameters of a generator");
      }
    }
  }

  void ReadSampling() {
    SamplingOptions& sampling = decoded_.generation.options.sampling;
    const SamplingDefaults& defaults = generator_.config().defaults;
    const auto choose = [](bool given, auto value, auto otherwise) { return given ? value : otherwise; };
    const v1::GenerationRequest& asked = generation_;
    sampling.temperature = choose(asked.has_temperature(), asked.temperature(), defaults.temperature);
    sampling.top_k = choose(asked.has_top_k(), asked.top_k(), defaults.top_k);
    sampling.top_p = choose(asked.has_top_p(), asked.top_p(), defaults.top_p);
    sampling.min_p = choose(asked.has_min_p(), asked.min_p(), defaults.min_p);
    sampling.repetition_penalty =
        choose(asked.has_repetition_penalty(), asked.repetition_penalty(), defaults.repetition_penalty);
    sampling.presence_penalty =
        choose(asked.has_presence_penalty(), asked.presence_penalty(), defaults.presence_penalty);
    sampling.frequency_penalty =
        choose(asked.has_frequency_penalty(), asked.frequency_penalty(), defaults.frequency_penalty);
    CheckRange("logit_bias", generation_.logit_bias().size(), size_t{0}, size_t{kMaxBiases});
    if (generation_.logit_bias().size() > kMaxBiases) return;
    for (const auto& [id, bias] : generation_.logit_bias()) {
      if (!IsToken(id)) FailToken("logit_bias", id);
      if (errors_.full()) return;
      sampling.logit_bias.emplace_back(id, bias);
    }
    sampling.seed = generation_.has_seed() ? generation_.seed() : RandomSeed();
    sampling.logprobs = decoded_.logprobs = generation_.has_logprobs();
    CheckRange("logprobs", generation_.logprobs(), 0, kMaxTopLogprobs);
    CheckRange("temperature", sampling.temperature, 0.0, kMaxTemperature);
    if (!errors_.empty()) return;
    sampling.top_logprobs = generation_.logprobs();
    const absl::Status valid = sampling.Validate(vocabulary_);
    if (!valid.ok()) AddNamed(valid, paths_, errors_);
  }

  void ReadEnds() {
    AnswerOptions& options = decoded_.generation.options;
    CheckRange("stop", generation_.stop_size(), 0, kMaxStopStrings);
    for (int i = 0; i < generation_.stop_size() && !errors_.full(); ++i) {
      const std::string& stop = generation_.stop(i);
      if (stop.empty() || stop.size() > kMaxStopBytes) {
        errors_.Add(Path(absl::StrCat("stop[", i, "]")),
                    absl::StrCat("expected 1 to ", kMaxStopBytes, " bytes, got ", stop.size()));
      }
      options.stop.push_back(stop);
    }
    CheckRange("stop_token_ids", generation_.stop_token_ids_size(), 0, kMaxStopTokens);
    for (int i = 0; i < generation_.stop_token_ids_size() && !errors_.full(); ++i) {
      const int32_t id = generation_.stop_token_ids(i);
      if (!IsToken(id)) FailToken(absl::StrCat("stop_token_ids[", i, "]"), id);
    }
    options.stop_token_ids.assign(generation_.stop_token_ids().begin(), generation_.stop_token_ids().end());
    options.ignore_end = generation_.ignore_end();
    if (generation_.has_n()) options.answers = generation_.n();
    CheckRange("n", options.answers, 1, kMaxAnswers);
    decoded_.answers = options.answers;
  }

  // Whether the prompt leaves room for that many tokens is checked later.
  void ReadMaxTokens() {
    if (!generation_.has_max_tokens()) return;
    decoded_.generation.max_tokens = generation_.max_tokens();
    CheckRange("max_tokens", generation_.max_tokens(), int64_t{1}, generator_.config().max_length - 1);
  }

  const v1::PredictRequest& request_;
  const v1::GenerationRequest& generation_;
  const GenerationPaths paths_;
  const Generator& generator_;
  const int64_t vocabulary_;
  FieldErrors errors_;
  DecodedGeneration decoded_;
};

v1::FinishReason ToProto(FinishReason reason) {
  return reason == FinishReason::kStop ? v1::FINISH_REASON_STOP : v1::FINISH_REASON_LENGTH;
}

// Fills a GenerationDelta or a GeneratedAnswer, which have the same fields.
template <class Message>
void FillPiece(const DecodedGeneration& request, const AnswerPiece& piece, Message& message) {
  message.set_index(piece.index);
  message.set_text(piece.text);
  for (const SampledToken& token : piece.tokens) {
    v1::GeneratedToken& generated = *message.add_tokens();
    generated.set_id(token.id);
    if (!request.logprobs) continue;
    generated.set_logprob(token.logprob);
    for (const TokenLogprob& other : token.top) {
      v1::TokenLogprob& top = *generated.add_top_logprobs();
      top.set_id(other.id);
      top.set_logprob(other.logprob);
    }
  }
  if (piece.finish_reason.has_value()) message.set_finish_reason(ToProto(*piece.finish_reason));
}

// A stage that was not reached takes no time.
void FillUsage(const DecodedGeneration& request, const GenerationTimings& timings, v1::GenerationUsage& usage) {
  usage.set_prompt_tokens(timings.prompt_tokens);
  usage.set_cached_prompt_tokens(timings.cached_tokens);
  usage.set_generated_tokens(timings.generated_tokens);
  FillDuration(absl::FromChrono(timings.started - timings.enqueued), *usage.mutable_queue_time());
  FillDuration(absl::FromChrono(timings.first_token - timings.enqueued), *usage.mutable_time_to_first_token());
  FillDuration(absl::FromChrono(timings.last_token - timings.enqueued), *usage.mutable_total_time());
  const double decode = std::chrono::duration<double>(timings.last_token - timings.first_token).count();
  const double later = static_cast<double>(timings.generated_tokens) / request.answers - 1;
  if (decode > 0) usage.set_tokens_per_second(later / decode);
}

}  // namespace

absl::StatusOr<DecodedGeneration> DecodeGeneration(const v1::PredictRequest& request, const GenerationPaths& paths,
                                                   std::shared_ptr<const ServedVersion> target) {
  return GenerationReader(request, paths, std::move(target)).Read();
}

absl::Status GenerationError(const absl::Status& refused, const GenerationPaths& paths) {
  if (!absl::IsInvalidArgument(refused)) return refused;
  FieldErrors errors;
  AddNamed(refused, paths, errors);
  return errors.ToStatus();
}

absl::Status CheckGenerationStream(const v1::PredictStreamRequest& request) {
  FieldErrors errors;
  const auto check = [&](const char* field, bool given) {
    if (given) errors.Add(field, "expected nothing: a generator has no rows");
  };
  check("chunk_rows", request.chunk_rows() != 0);
  check("ordered", request.has_ordered());
  check("on_error", request.on_error() != v1::CHUNK_ERROR_POLICY_UNSPECIFIED);
  return errors.ToStatus();
}

absl::StatusOr<grpc::ByteBuffer> EncodeGenerationStart(const DecodedGeneration& request) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictStreamResponse>();
  v1::StreamStart& start = *response->mutable_start();
  start.set_model_name(request.version->model());
  start.set_model_version(request.version->number());
  start.set_request_id(request.request_id);
  return SerializeMessage(*response);
}

absl::StatusOr<grpc::ByteBuffer> EncodeDelta(const DecodedGeneration& request, const AnswerPiece& piece) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictStreamResponse>();
  FillPiece(request, piece, *response->mutable_delta());
  return SerializeMessage(*response);
}

absl::StatusOr<grpc::ByteBuffer> EncodeGenerationSummary(const DecodedGeneration& request,
                                                         const GenerationTimings& timings) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictStreamResponse>();
  FillUsage(request, timings, *response->mutable_summary()->mutable_usage());
  return SerializeMessage(*response);
}

absl::StatusOr<grpc::ByteBuffer> EncodeAnswers(const DecodedGeneration& request, absl::Span<const AnswerPiece> answers,
                                               const GenerationTimings& timings) {
  CompactArena arena;
  auto* response = arena.Create<v1::PredictResponse>();
  response->set_model_name(request.version->model());
  response->set_model_version(request.version->number());
  response->set_request_id(request.request_id);
  for (const AnswerPiece& answer : answers) FillPiece(request, answer, *response->add_answers());
  FillUsage(request, timings, *response->mutable_usage());
  return SerializeMessage(*response);
}

}  // namespace predictd
