#include "server/rpc/generation_codec.h"

#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/engine/inference.h"
#include "server/rpc/field_errors.h"
#include "server/rpc/generation_prompt.h"
#include "server/rpc/message_bytes.h"

namespace predictd {
namespace {

constexpr int kMaxAnswers = 16;
constexpr int kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 256;
constexpr int kMaxStopTokens = 64;
constexpr double kMaxTemperature = 100;
// Each of the answers looks at all of them before each token.
constexpr int kMaxBiases = 1024;
// The default of max_tokens.
constexpr int64_t kAsManyAsFit = 0;

uint64_t RandomSeed() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator();
}

// Reads the generation of one PredictRequest. Field paths begin with `prefix`.
class GenerationReader {
 public:
  GenerationReader(const v1::PredictRequest& request, absl::string_view prefix, const RequestTarget& target)
      : request_(request),
        generation_(request.generation()),
        prefix_(prefix),
        generator_(*target.version->generator()),
        vocabulary_(generator_.config().vocabulary_size) {
    decoded_.model = target.model;
    decoded_.version = target.version->entry().version;
    decoded_.generator = target.version->generator();
    decoded_.generation.priority = kDefaultPriority;
  }

  absl::StatusOr<DecodedGeneration> Read() {
    decoded_.request_id = ReadRequestId(request_, prefix_, errors_);
    ReadParameters();
    ReadSampling();
    ReadEnds();
    ReadMaxTokens();
    if (absl::Status status = CheckPrompt(generation_, Path(""), generator_, errors_); !status.ok()) return status;
    if (!errors_.empty()) return errors_.ToStatus();
    return std::move(decoded_);
  }

 private:
  std::string Path(absl::string_view field) const { return absl::StrCat(prefix_, "generation.", field); }

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
      const std::string path = absl::StrCat(prefix_, "parameters[\"", name, "\"]");
      if (name == "priority") {
        decoded_.generation.priority = ReadPriority(parameter, path, errors_);
      } else if (name == "cache") {
        decoded_.generation.reuse_prefix = ReadFlag(parameter, path, errors_);
      } else {
        errors_.Add(path, "expected cache or priority, the parameters of a generator");
      }
    }
  }

  void ReadSampling() {
    SamplingOptions& sampling = decoded_.generation.sampling;
    if (generation_.has_temperature()) sampling.temperature = generation_.temperature();
    if (generation_.has_top_k()) sampling.top_k = generation_.top_k();
    if (generation_.has_top_p()) sampling.top_p = generation_.top_p();
    if (generation_.has_min_p()) sampling.min_p = generation_.min_p();
    if (generation_.has_repetition_penalty()) sampling.repetition_penalty = generation_.repetition_penalty();
    sampling.presence_penalty = generation_.presence_penalty();
    sampling.frequency_penalty = generation_.frequency_penalty();
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
    if (valid.ok()) return;
    // "field: expected ..., got ...".
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(valid.message(), absl::MaxSplits(": ", 1));
    errors_.Add(Path(parts.first), parts.second);
  }

  void ReadEnds() {
    GenerationRequest& request = decoded_.generation;
    CheckRange("stop", generation_.stop_size(), 0, kMaxStopStrings);
    for (int i = 0; i < generation_.stop_size() && !errors_.full(); ++i) {
      const std::string& stop = generation_.stop(i);
      if (stop.empty() || stop.size() > kMaxStopBytes) {
        errors_.Add(Path(absl::StrCat("stop[", i, "]")),
                    absl::StrCat("expected 1 to ", kMaxStopBytes, " bytes, got ", stop.size()));
      }
      request.stop.push_back(stop);
    }
    CheckRange("stop_token_ids", generation_.stop_token_ids_size(), 0, kMaxStopTokens);
    for (int i = 0; i < generation_.stop_token_ids_size() && !errors_.full(); ++i) {
      const int32_t id = generation_.stop_token_ids(i);
      if (!IsToken(id)) FailToken(absl::StrCat("stop_token_ids[", i, "]"), id);
    }
    request.stop_token_ids.assign(generation_.stop_token_ids().begin(), generation_.stop_token_ids().end());
    request.ignore_end = generation_.ignore_end();
    if (generation_.has_n()) request.answers = generation_.n();
    CheckRange("n", request.answers, 1, kMaxAnswers);
    decoded_.answers = request.answers;
  }

  // Whether the prompt leaves room for so many shows later.
  void ReadMaxTokens() {
    const int64_t most = generator_.config().max_length - 1;
    decoded_.generation.max_tokens = generation_.has_max_tokens() ? generation_.max_tokens() : kAsManyAsFit;
    if (generation_.has_max_tokens()) CheckRange("max_tokens", generation_.max_tokens(), int64_t{1}, most);
  }

  const v1::PredictRequest& request_;
  const v1::GenerationRequest& generation_;
  const std::string prefix_;
  const Generator& generator_;
  const int64_t vocabulary_;
  FieldErrors errors_;
  DecodedGeneration decoded_;
};

v1::FinishReason ToProto(FinishReason reason) {
  return reason == FinishReason::kStop ? v1::FINISH_REASON_STOP : v1::FINISH_REASON_LENGTH;
}

// Fills a GenerationDelta or GeneratedAnswer, which have the same fields.
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

void FillUsage(const DecodedGeneration& request, const GenerationTimings& timings, v1::GenerationUsage& usage) {
  const auto seconds = [&](TimePoint until) {
    return until < timings.enqueued ? 0.0 : std::chrono::duration<double>(until - timings.enqueued).count();
  };
  usage.set_prompt_tokens(request.prompt_tokens);
  usage.set_cached_prompt_tokens(timings.cached_tokens);
  usage.set_generated_tokens(timings.generated_tokens);
  usage.set_queue_seconds(seconds(timings.started));
  usage.set_time_to_first_token_seconds(seconds(timings.first_token));
  usage.set_total_seconds(seconds(timings.last_token));
  const double decode = std::chrono::duration<double>(timings.last_token - timings.first_token).count();
  const double later = static_cast<double>(timings.generated_tokens) / request.answers - 1;
  if (decode > 0) usage.set_tokens_per_second(later / decode);
}

}  // namespace

absl::StatusOr<DecodedGeneration> DecodeGeneration(const v1::PredictRequest& request, absl::string_view prefix,
                                                   const RequestTarget& target) {
  return GenerationReader(request, prefix, target).Read();
}

absl::Status ReadPrompt(const v1::PredictRequest& request, absl::string_view prefix, const StopSource& stop,
                        DecodedGeneration& decoded) {
  const std::string path = absl::StrCat(prefix, "generation.");
  const Generator& generator = *decoded.generator;
  absl::StatusOr<std::vector<int32_t>> prompt = EncodePrompt(request.generation(), path, generator, stop);
  if (!prompt.ok()) return prompt.status();
  const int64_t max_length = generator.config().max_length;
  const auto length = static_cast<int64_t>(prompt->size());
  decoded.generation.prompt = *std::move(prompt);
  decoded.prompt_tokens = length;
  int64_t& max_tokens = decoded.generation.max_tokens;
  if (max_tokens == kAsManyAsFit) max_tokens = max_length - length;
  if (max_tokens <= max_length - length) return absl::OkStatus();
  FieldErrors errors;
  errors.Add(absl::StrCat(path, "max_tokens"),
             absl::StrCat("expected 1 to ", max_length - length, ", as the prompt has ", length, " tokens of ",
                          max_length, ", got ", max_tokens));
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
  start.set_model_name(request.model->name());
  start.set_model_version(request.version);
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
  response->set_model_name(request.model->name());
  response->set_model_version(request.version);
  response->set_request_id(request.request_id);
  for (const AnswerPiece& answer : answers) FillPiece(request, answer, *response->add_answers());
  FillUsage(request, timings, *response->mutable_usage());
  return SerializeMessage(*response);
}

}  // namespace predictd
