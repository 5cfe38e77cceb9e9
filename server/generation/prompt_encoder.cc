#include "server/generation/prompt_encoder.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/async/work_status.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

// A text of this many bytes is tokenized within about 0.1 ms.
constexpr size_t kShortPrompt = 1024;
// A template's work may depend on the messages in any way.
constexpr size_t kFewMessages = 8;
// Few texts have more bytes per token than this on average, and those that do are the slowest.
constexpr int64_t kBytesOfToken = 16;
// How deeply the arguments for a template may be nested.
constexpr int kMaxArgumentDepth = 16;

absl::Status Wrong(absl::string_view field, absl::string_view description) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", description));
}

size_t BytesOf(const ChatPrompt& chat) {
  size_t bytes = chat.argument_bytes;
  for (const ChatMessage& message : chat.messages) bytes += message.role.size() + message.content.size();
  return bytes;
}

// Whether no number or container is among them: what a template does with those may take long, however short they are.
bool AreSimple(const ChatValue::Dict& arguments) {
  return std::all_of(arguments.begin(), arguments.end(), [](const ChatMember& argument) {
    const auto& value = argument.value.value;
    return std::holds_alternative<std::monostate>(value) || std::holds_alternative<bool>(value) ||
           std::holds_alternative<absl::string_view>(value);
  });
}

// Whether values within each other are at most `depth`.
bool IsAtMost(int depth, const ChatValue& value) {
  if (depth == 0) return false;
  if (const auto* list = std::get_if<ChatValue::List>(&value.value)) {
    return std::all_of(list->begin(), list->end(), [=](const ChatValue& item) { return IsAtMost(depth - 1, item); });
  }
  if (const auto* dict = std::get_if<ChatValue::Dict>(&value.value)) {
    return std::all_of(dict->begin(), dict->end(),
                       [=](const ChatMember& member) { return IsAtMost(depth - 1, member.value); });
  }
  return true;
}

// Collects what is wrong with a prompt; there is a function for each kind.
class PromptCheck {
 public:
  PromptCheck(int64_t max_length, int64_t vocabulary_size, const ChatTemplate* chat_template)
      : max_length_(max_length), vocabulary_size_(vocabulary_size), chat_template_(chat_template) {}

  absl::Status operator()(std::monostate /*none*/) {
    Add("prompt", "expected one of text, chat and token_ids, got none");
    return absl::OkStatus();
  }

  absl::Status operator()(const TextPrompt& prompt) {
    CheckBytes("text", prompt.text.size());
    return absl::OkStatus();
  }

  absl::Status operator()(const ChatPrompt& chat) {
    if (chat_template_ == nullptr) {
      return absl::FailedPreconditionError("the model has no chat template: send text instead");
    }
    // Each message takes at least one token.
    if (chat.messages.empty()) Add("chat.messages", "expected at least one message, got none");
    if (static_cast<int64_t>(chat.messages.size()) > max_length_) {
      Add("chat.messages", absl::StrCat("expected at most ", max_length_, " messages, got ", chat.messages.size()));
      return absl::OkStatus();
    }
    for (size_t i = 0; i < chat.messages.size() && !full(); ++i) {
      if (!chat.messages[i].role.empty()) continue;
      Add(absl::StrCat("chat.messages[", i, "].role"), "expected a role, as user, got none");
    }
    CheckBytes("chat", BytesOf(chat));
    CheckArguments(chat.template_arguments);
    return absl::OkStatus();
  }

  absl::Status operator()(const TokenPrompt& prompt) {
    const absl::Span<const int32_t> ids = prompt.ids;
    if (ids.empty() || static_cast<int64_t>(ids.size()) >= max_length_) {
      Add("prompt", absl::StrCat("expected 1 to ", max_length_ - 1, " tokens, got ", ids.size()));
      return absl::OkStatus();
    }
    for (size_t i = 0; i < ids.size() && !full(); ++i) {
      if (ids[i] >= 0 && ids[i] < vocabulary_size_) continue;
      Add(absl::StrCat("token_ids.ids[", i, "]"),
          absl::StrCat("expected a token id from 0 to ", vocabulary_size_ - 1, ", got ", ids[i]));
    }
    return absl::OkStatus();
  }

  std::vector<WrongField> TakeWrong() { return std::move(wrong_); }

 private:
  void CheckArguments(const ChatValue::Dict& arguments) {
    const std::vector<std::string>& known = chat_template_->arguments();
    bool too_deep = false;
    for (const auto& [name, value] : arguments) {
      if (full()) return;
      too_deep = too_deep || !IsAtMost(kMaxArgumentDepth, value);
      const std::string field = absl::StrCat("chat.template_arguments[\"", name, "\"]");
      if (ChatTemplate::IsReserved(name)) {
        Add(field, "expected another name: the server sets this variable");
      } else if (!std::binary_search(known.begin(), known.end(), name)) {
        Add(field, known.empty() ? "expected nothing: the model's template reads no further variables"
                                 : absl::StrCat("expected a variable that the model's template reads: ",
                                                absl::StrJoin(known, ", ")));
      }
    }
    if (too_deep) {
      Add("chat.template_arguments",
          absl::StrCat("expected values within each other at most ", kMaxArgumentDepth, " deep, got more"));
    }
  }

  void CheckBytes(absl::string_view field, size_t bytes) {
    if (static_cast<int64_t>(bytes) <= max_length_ * kBytesOfToken) return;
    Add(field, absl::StrCat("expected a prompt of fewer than ", max_length_, " tokens, got ", bytes, " bytes"));
  }

  void Add(absl::string_view field, absl::string_view description) {
    if (!full()) wrong_.push_back({std::string(field), std::string(description)});
  }
  bool full() const { return wrong_.size() >= PromptEncoder::kMostWrong; }

  const int64_t max_length_;
  const int64_t vocabulary_size_;
  const ChatTemplate* const chat_template_;
  std::vector<WrongField> wrong_;
};

}  // namespace

PromptEncoder::PromptEncoder(const GeneratorConfig& config, std::shared_ptr<const Tokenizer> tokenizer,
                             std::shared_ptr<const ChatTemplate> chat_template)
    : max_length_(config.max_length),
      vocabulary_size_(config.vocabulary_size),
      bos_token_id_(config.bos_token_id),
      tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)) {}

absl::StatusOr<std::vector<WrongField>> PromptEncoder::Check(const Prompt& prompt) const {
  PromptCheck check(max_length_, vocabulary_size_, chat_template_.get());
  if (absl::Status status = std::visit(check, prompt); !status.ok()) return status;
  return check.TakeWrong();
}

bool PromptEncoder::IsShort(const Prompt& prompt) {
  if (const auto* text = std::get_if<TextPrompt>(&prompt)) return text->text.size() <= kShortPrompt;
  if (const auto* chat = std::get_if<ChatPrompt>(&prompt)) {
    return chat->messages.size() <= kFewMessages && BytesOf(*chat) <= kShortPrompt &&
           AreSimple(chat->template_arguments);
  }
  return true;
}

absl::StatusOr<std::vector<int32_t>> PromptEncoder::Encode(const Prompt& prompt, const StopSource& stop) const {
  const auto max_tokens = static_cast<size_t>(max_length_ - 1);
  const EncodeLimits limits = {.max_tokens = max_tokens, .stop = &stop};
  std::vector<int32_t> tokens;
  if (const auto* given = std::get_if<TokenPrompt>(&prompt)) {
    tokens.assign(given->ids.begin(), given->ids.end());
  } else if (const auto* chat = std::get_if<ChatPrompt>(&prompt)) {
    const ChatInput input = {.messages = chat->messages, .arguments = &chat->template_arguments};
    const absl::StatusOr<RenderedChat> rendered = chat_template_->Render(input, &stop);
    if (stop.stopped()) return StopStatus(stop.reason(), "the prompt");
    if (absl::IsInvalidArgument(rendered.status())) return Wrong("chat", rendered.status().message());
    if (!rendered.ok()) return rendered.status();
    tokens = tokenizer_->Encode(rendered->text, rendered->trusted, limits);
  } else if (const auto* text = std::get_if<TextPrompt>(&prompt)) {
    const TextRange all = {0, text->text.size()};
    tokens = tokenizer_->Encode(text->text, absl::MakeConstSpan(&all, text->parse_special_tokens ? 1 : 0), limits);
    if (bos_token_id_.has_value()) tokens.insert(tokens.begin(), *bos_token_id_);
  }
  if (stop.stopped()) return StopStatus(stop.reason(), "the prompt");
  if (tokens.empty() || tokens.size() > max_tokens) {
    const std::string got = tokens.empty() ? "0" : absl::StrCat("at least ", max_tokens + 1);
    return Wrong("prompt", absl::StrCat("expected 1 to ", max_tokens, " tokens, got ", got));
  }
  if (absl::Status status = CheckVocabulary(tokens); !status.ok()) return status;
  return tokens;
}

// Each token must have an embedding, and a tokenizer may have more tokens than its model has embeddings.
absl::Status PromptEncoder::CheckVocabulary(const std::vector<int32_t>& tokens) const {
  if (tokenizer_->size() <= vocabulary_size_) return absl::OkStatus();
  const auto beyond = std::find_if(tokens.begin(), tokens.end(), [this](int32_t id) { return id >= vocabulary_size_; });
  if (beyond == tokens.end()) return absl::OkStatus();
  return Wrong("prompt",
               absl::StrCat("expected tokens from 0 to ", vocabulary_size_ - 1, ", which the model knows, got ",
                            *beyond, " ('", ToUtf8(std::string(tokenizer_->TokenBytes(*beyond))), "')"));
}

}  // namespace predictd
