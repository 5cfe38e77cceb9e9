#include "tests/client/fake_generator.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace predictd {
namespace {

constexpr int kFirstToken = 100;

std::string QuestionOf(const v1::GenerationRequest& generation) {
  if (!generation.has_chat()) return generation.text();
  return generation.chat().messages().rbegin()->content();
}

// The words, each but the first with the space before it.
std::vector<std::string> PiecesOf(const std::string& text) {
  std::vector<std::string> pieces;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    pieces.push_back(absl::StrCat(pieces.empty() ? "" : " ", word));
  }
  return pieces;
}

grpc::Status WrongField(const std::string& field, const std::string& description) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(absl::StrCat("predict.generation.", field));
  violation->set_description(description);
  google::rpc::Status status;
  status.set_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
  status.set_message(absl::StrCat(violation->field(), ": ", description));
  status.add_details()->PackFrom(bad_request);
  return {grpc::StatusCode::INVALID_ARGUMENT, status.message(), status.SerializeAsString()};
}

v1::GeneratedToken TokenOf(std::size_t place, const v1::GenerationRequest& generation) {
  v1::GeneratedToken token;
  token.set_id(kFirstToken + static_cast<int>(place));
  if (generation.has_logprobs()) token.set_logprob(-0.5F);
  for (int i = 0; i < generation.logprobs(); ++i) {
    v1::TokenLogprob& other = *token.add_top_logprobs();
    other.set_id(token.id() + i);
    other.set_logprob(-0.5F - static_cast<float>(i));
  }
  return token;
}

}  // namespace

v1::Model FakeGeneratorModel() {
  v1::Model model;
  model.set_name("echo");
  model.set_kind(v1::MODEL_KIND_GENERATOR);
  model.set_description("Repeats what it hears.");
  v1::ModelVersion* version = model.add_versions();
  version->set_version(1);
  version->set_state(v1::MODEL_STATE_READY);
  version->set_backend("torchscript");
  model.mutable_generator()->set_vocabulary_size(49152);
  model.mutable_generator()->set_max_length(2048);
  model.mutable_generator()->set_slots(16);
  model.mutable_generator()->set_chat(true);
  return model;
}

grpc::Status CheckGeneration(const v1::PredictStreamRequest& request) {
  const v1::GenerationRequest& generation = request.predict().generation();
  if (generation.has_n() && (generation.n() < 1 || generation.n() > 16)) {
    return WrongField("n", absl::StrCat("expected 1 to 16, got ", generation.n()));
  }
  std::size_t words = 0;
  for (const v1::ChatMessage& message : generation.chat().messages()) words += PiecesOf(message.content()).size();
  if (words > kFakeContext) {
    return WrongField("prompt",
                      absl::StrCat("expected 1 to ", kFakeContext, " tokens, got at least ", kFakeContext + 1));
  }
  return grpc::Status::OK;
}

std::vector<v1::PredictStreamResponse> FakeGeneration(const v1::PredictStreamRequest& request) {
  const v1::GenerationRequest& generation = request.predict().generation();
  std::vector<std::string> pieces = PiecesOf(QuestionOf(generation));
  const std::size_t all = pieces.size();
  if (generation.has_max_tokens()) pieces.resize(std::min<std::size_t>(all, generation.max_tokens()));
  std::vector<v1::PredictStreamResponse> events(1);
  v1::StreamStart& start = *events.front().mutable_start();
  start.set_model_name(request.predict().model_name());
  start.set_model_version(1);
  start.set_request_id(request.predict().request_id());
  const int answers = generation.has_n() ? generation.n() : 1;
  const std::size_t last = NeverEnds(request) ? pieces.size() - 1 : pieces.size();
  for (std::size_t i = 0; i < last; ++i) {
    for (int index = 0; index < answers; ++index) {
      v1::GenerationDelta& delta = *events.emplace_back().mutable_delta();
      delta.set_index(index);
      delta.set_text(index > 0 && i == 0 ? absl::StrCat(index, " ", pieces[i]) : pieces[i]);
      *delta.add_tokens() = TokenOf(i, generation);
      if (i + 1 < pieces.size()) continue;
      delta.set_finish_reason(pieces.size() < all ? v1::FINISH_REASON_LENGTH : v1::FINISH_REASON_STOP);
    }
  }
  if (last < pieces.size()) return events;
  v1::GenerationUsage& usage = *events.emplace_back().mutable_summary()->mutable_usage();
  usage.set_prompt_tokens(12);
  usage.set_cached_prompt_tokens(8);
  usage.set_generated_tokens(static_cast<std::int64_t>(pieces.size()) * answers);
  usage.mutable_time_to_first_token()->set_nanos(120'000'000);
  usage.set_tokens_per_second(83.06);
  return events;
}

bool NeverEnds(const v1::PredictStreamRequest& request) {
  return absl::EndsWith(QuestionOf(request.predict().generation()), "...");
}

}  // namespace predictd
