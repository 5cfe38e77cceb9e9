#ifndef PREDICTD_SERVER_GENERATION_PROMPT_ENCODER_H_
#define PREDICTD_SERVER_GENERATION_PROMPT_ENCODER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/stop.h"
#include "server/generation/prompt.h"
#include "server/model/generator_config.h"
#include "server/template/chat_template.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {

// A field of a request that is wrong. The names of fields are paths within a GenerationRequest, but for its variant:
// the alternatives of a prompt are called `text`, `chat` and `token_ids`, as in `chat.messages[3].role`, and `prompt`
// stands for whichever it is. Both strings may contain text of the caller, and may be long.
struct WrongField {
  std::string field;
  // What was expected and what came.
  std::string description;
};

// Turns the prompts of one generator's callers into tokens: chats by way of the model's template, text by its
// tokenizer. Immutable; any thread may use it.
class PromptEncoder {
 public:
  // Check finds at most this many wrong fields.
  static constexpr size_t kMostWrong = 16;

  // `chat_template` may be null.
  PromptEncoder(const GeneratorConfig& config, std::shared_ptr<const Tokenizer> tokenizer,
                std::shared_ptr<const ChatTemplate> chat_template);

  // Checks everything about a prompt that needs no tokens: its kind, size, roles, arguments and ids. Returns what is
  // wrong, which is nothing if the prompt is as it must be. FAILED_PRECONDITION for a chat if there is no template.
  // Takes time in proportion to the number of messages, arguments and ids, however long they are.
  absl::StatusOr<std::vector<WrongField>> Check(const Prompt& prompt) const;

  // Whether Encode is so quick that an event loop may do it.
  static bool IsShort(const Prompt& prompt);

  // The tokens of a prompt in which Check found nothing wrong; at least one and fewer than max_length.
  // INVALID_ARGUMENT, as "field: description" of a WrongField, if the template rejects the chat, or if there are too
  // few or too many tokens or one that the model does not know; INTERNAL if the template fails. Looks at `stop` every
  // few milliseconds and ends with its StopStatus.
  absl::StatusOr<std::vector<int32_t>> Encode(const Prompt& prompt, const StopSource& stop) const;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  // Null if the model has none.
  const ChatTemplate* chat_template() const { return chat_template_.get(); }

 private:
  absl::Status CheckVocabulary(const std::vector<int32_t>& tokens) const;

  const int64_t max_length_;
  const int64_t vocabulary_size_;
  const std::optional<int32_t> bos_token_id_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::shared_ptr<const ChatTemplate> chat_template_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PROMPT_ENCODER_H_
