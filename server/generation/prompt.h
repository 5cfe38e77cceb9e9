#ifndef PREDICTD_SERVER_GENERATION_PROMPT_H_
#define PREDICTD_SERVER_GENERATION_PROMPT_H_

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/template/chat_template.h"
#include "server/template/chat_value.h"

namespace predictd {

// The kinds of prompts. They refer to what the caller sent, which may be large, and must not outlive it.

// A text to continue.
struct TextPrompt {
  absl::string_view text;
  // Whether special tokens that are written in the text become those tokens.
  bool parse_special_tokens = false;
};

// A conversation, which the model's template turns into text.
struct ChatPrompt {
  std::vector<ChatMessage> messages = {};
  // Further variables for the template.
  ChatValue::Dict template_arguments = {};
  // The size of these variables as they were sent, which counts as a part of the prompt's.
  size_t argument_bytes = 0;
};

// Tokens of the model.
struct TokenPrompt {
  absl::Span<const int32_t> ids;
};

// Holds std::monostate if the request has no prompt.
using Prompt = std::variant<std::monostate, TextPrompt, ChatPrompt, TokenPrompt>;

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PROMPT_H_
