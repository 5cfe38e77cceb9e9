#ifndef PREDICTD_SERVER_TEMPLATE_CHAT_TEMPLATE_H_
#define PREDICTD_SERVER_TEMPLATE_CHAT_TEMPLATE_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/template/chat_value.h"
#include "server/template/run.h"
#include "server/tokenizer/text_range.h"

namespace predictd {

struct TemplateProgram;

// Refers to texts that must outlive it.
struct ChatMessage {
  absl::string_view role;
  absl::string_view content;
};

// What a template is rendered with. The rendered chat does not refer to any of it.
struct ChatInput {
  absl::Span<const ChatMessage> messages;
  // Whether the text ends with the beginning of an answer.
  bool add_generation_prompt = true;
  // Further variables that the template reads.
  const ChatValue::Dict* arguments = nullptr;
  // What the template uses as the current time, if it asks for the date.
  std::chrono::system_clock::time_point now = std::chrono::system_clock::now();
};

struct RenderedChat {
  std::string text;
  // The parts of the text that come from the template itself. Only there may special tokens be recognised, each wholly
  // within one range. The ranges are in order and do not touch. All other text was sent by the caller.
  std::vector<TextRange> trusted;
};

// A model's own chat template, which turns a chat into the text that the model continues. It is written in Jinja; what
// is loaded here is its syntax tree, as dumped by scripts/generator_export. Templates are code of the model: they are
// trusted, but their resources are bounded. Messages are not trusted: wherever the template puts a message's content,
// changed or not, the text stays marked as the caller's. So does a role, unless it is one of system, developer, user,
// assistant, tool and function: some templates build special tokens from those. Arguments are not trusted either.
// Constant after construction, so all threads may use it.
class ChatTemplate {
 public:
  // Reads chat_template.json. INVALID_ARGUMENT if it does not have that form, or has a node, filter or test that is not
  // supported, which the message names.
  static absl::StatusOr<ChatTemplate> Load(absl::string_view json, TemplateLimits limits = {});

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Takes time in proportion to the chat. INVALID_ARGUMENT with the template's own message if the template rejects the
  // chat; INTERNAL, naming the line, if the template itself is wrong or exceeds the limits; CANCELLED soon after
  // `stop`, which may be null, has stopped.
  absl::StatusOr<RenderedChat> Render(const ChatInput& input, const StopSource* stop = nullptr) const;

  // The names of the variables that the template reads, except those that Render sets itself.
  const std::vector<std::string>& arguments() const { return arguments_; }

  // Whether Render sets such a variable itself.
  static bool IsReserved(absl::string_view name);

 private:
  ChatTemplate();

  // Held by pointer, because nodes point to its names.
  std::unique_ptr<TemplateProgram> program_;
  TemplateLimits limits_;
  std::string bos_token_;
  std::string eos_token_;
  std::vector<std::string> arguments_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_CHAT_TEMPLATE_H_
