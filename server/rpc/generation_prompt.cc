#include "server/rpc/generation_prompt.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/engine/inference.h"

namespace predictd {
namespace {

// So much text is put into tokens within about 0.1 ms.
constexpr size_t kShortPrompt = 1024;
// What a template does may depend on the messages in any way.
constexpr int kFewMessages = 8;
// Few texts have more bytes a token than this on average, and those that have are the slowest.
constexpr int64_t kBytesOfToken = 16;

size_t PromptBytes(const v1::GenerationRequest& request) {
  size_t bytes = request.text().size();
  for (const v1::ChatMessage& message : request.chat().messages()) {
    bytes += message.role().size() + message.content().size();
  }
  return bytes;
}

// Checks one prompt, for whose fields `errors` gets paths.
class PromptCheck {
 public:
  PromptCheck(const v1::GenerationRequest& request, const std::string& path, const Generator& generator,
              FieldErrors& errors)
      : request_(request), path_(path), config_(generator.config()), errors_(errors) {}

  void Text() { Bytes("text"); }

  void Chat() {
    const int messages = request_.chat().messages_size();
    // Each takes a token at least.
    if (messages < 1) Wrong("chat.messages", "expected at least one message, got none");
    if (messages > config_.max_length) {
      return Wrong("chat.messages", absl::StrCat("expected at most ", config_.max_length, " messages, got ", messages));
    }
    for (int i = 0; i < messages && !errors_.full(); ++i) {
      if (!request_.chat().messages(i).role().empty()) continue;
      Wrong(absl::StrCat("chat.messages[", i, "].role"), "expected a role, as user, got none");
    }
    Bytes("chat");
  }

  void TokenIds() {
    const auto& ids = request_.token_ids().ids();
    if (ids.empty() || ids.size() >= config_.max_length) {
      return Wrong("prompt", absl::StrCat("expected 1 to ", config_.max_length - 1, " tokens, got ", ids.size()));
    }
    for (int i = 0; i < ids.size() && !errors_.full(); ++i) {
      if (ids[i] >= 0 && ids[i] < config_.vocabulary_size) continue;
      Wrong(absl::StrCat("token_ids.ids[", i, "]"),
            absl::StrCat("expected a token id from 0 to ", config_.vocabulary_size - 1, ", got ", ids[i]));
    }
  }

  void Nothing() { Wrong("prompt", "expected one of text, chat and token_ids, got none"); }

 private:
  void Wrong(absl::string_view field, absl::string_view description) {
    errors_.Add(absl::StrCat(path_, field), description);
  }

  void Bytes(absl::string_view field) {
    const size_t bytes = PromptBytes(request_);
    if (static_cast<int64_t>(bytes) <= config_.max_length * kBytesOfToken) return;
    Wrong(field,
          absl::StrCat("expected a prompt of fewer than ", config_.max_length, " tokens, got ", bytes, " bytes"));
  }

  const v1::GenerationRequest& request_;
  const std::string& path_;
  const GeneratorConfig& config_;
  FieldErrors& errors_;
};

absl::StatusOr<RenderedChat> Render(const v1::Chat& chat, const std::string& path, const ChatTemplate& chat_template,
                                    const StopSource& stop) {
  std::vector<ChatMessage> messages;
  messages.reserve(static_cast<size_t>(chat.messages_size()));
  for (const v1::ChatMessage& message : chat.messages()) messages.push_back({message.role(), message.content()});
  absl::StatusOr<RenderedChat> rendered = chat_template.Render(messages, /*add_generation_prompt=*/true, &stop);
  if (!absl::IsInvalidArgument(rendered.status())) return rendered;
  FieldErrors errors;
  errors.Add(absl::StrCat(path, "chat"), rendered.status().message());
  return errors.ToStatus();
}

}  // namespace

absl::Status CheckPrompt(const v1::GenerationRequest& request, const std::string& path, const Generator& generator,
                         FieldErrors& errors) {
  PromptCheck check(request, path, generator, errors);
  switch (request.prompt_case()) {
    case v1::GenerationRequest::kText:
      check.Text();
      break;
    case v1::GenerationRequest::kChat:
      if (generator.chat_template() == nullptr) {
        return absl::FailedPreconditionError("the model has no chat template: send text instead");
      }
      check.Chat();
      break;
    case v1::GenerationRequest::kTokenIds:
      check.TokenIds();
      break;
    case v1::GenerationRequest::PROMPT_NOT_SET:
      check.Nothing();
      break;
  }
  return absl::OkStatus();
}

bool IsShortPrompt(const v1::GenerationRequest& request) {
  return request.chat().messages_size() <= kFewMessages && PromptBytes(request) <= kShortPrompt;
}

absl::StatusOr<std::vector<int32_t>> EncodePrompt(const v1::GenerationRequest& request, const std::string& path,
                                                  const Generator& generator, const StopSource& stop) {
  const auto max_tokens = static_cast<size_t>(generator.config().max_length - 1);
  const EncodeLimits limits = {.max_tokens = max_tokens, .stop = &stop};
  const Tokenizer& tokenizer = generator.tokenizer();
  std::vector<int32_t> tokens;
  if (request.has_token_ids()) {
    const auto& ids = request.token_ids().ids();
    tokens.assign(ids.begin(), ids.end());
  } else if (request.has_chat()) {
    const absl::StatusOr<RenderedChat> chat = Render(request.chat(), path, *generator.chat_template(), stop);
    if (stop.stopped()) return StopStatus(stop.reason(), "the prompt");
    if (!chat.ok()) return chat.status();
    tokens = tokenizer.Encode(chat->text, chat->trusted, limits);
  } else {
    const TextRange all = {0, request.text().size()};
    tokens =
        tokenizer.Encode(request.text(), absl::MakeConstSpan(&all, request.parse_special_tokens() ? 1 : 0), limits);
    const std::optional<int32_t> bos = generator.config().bos_token_id;
    if (bos.has_value()) tokens.insert(tokens.begin(), *bos);
  }
  if (stop.stopped()) return StopStatus(stop.reason(), "the prompt");
  if (!tokens.empty() && tokens.size() <= max_tokens) return tokens;
  FieldErrors errors;
  const std::string got = tokens.empty() ? "0" : absl::StrCat("at least ", max_tokens + 1);
  errors.Add(absl::StrCat(path, "prompt"), absl::StrCat("expected 1 to ", max_tokens, " tokens, got ", got));
  return errors.ToStatus();
}

}  // namespace predictd
