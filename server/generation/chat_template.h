#ifndef PREDICTD_SERVER_GENERATION_CHAT_TEMPLATE_H_
#define PREDICTD_SERVER_GENERATION_CHAT_TEMPLATE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/generation/template_run.h"
#include "server/generation/text_range.h"

namespace predictd {

struct TemplateProgram;

struct ChatMessage {
  std::string role;
  std::string content;
};

struct RenderedChat {
  std::string text;
  // Which parts of the text come from the template itself: only there may special tokens be recognised, each wholly
  // within one range. In order, none touches the next. All else was sent by the caller.
  std::vector<TextRange> trusted;
};

// A model's own chat template, which turns a chat into the text that the model continues. It is written in Jinja;
// what is loaded here is its syntax tree, as scripts/generator_export dumps it. Templates are code of the model: they
// are trusted, but bounded in what they take. Messages are not trusted: wherever the template puts a message's content,
// changed or not, the text stays marked as the caller's. A role does, too, unless it is one of system, developer, user,
// assistant, tool and function: some templates build special tokens from those. Constant after construction, so all
// threads may use it.
class ChatTemplate {
 public:
  // Reads chat_template.json. INVALID_ARGUMENT if it is not of that form or has a node, filter or test that is not
  // supported, which the message names.
  static absl::StatusOr<ChatTemplate> Load(absl::string_view json, TemplateLimits limits = {});

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Takes time in proportion to the chat. INVALID_ARGUMENT with the template's own message if the template does not
  // want such a chat; INTERNAL, naming the line, if the template itself is wrong or takes more than the limits;
  // CANCELLED soon after `stop`, which may be null, has stopped.
  absl::StatusOr<RenderedChat> Render(absl::Span<const ChatMessage> messages, bool add_generation_prompt,
                                      const StopSource* stop = nullptr) const;

 private:
  ChatTemplate();

  // A pointer, because nodes point to its names.
  std::unique_ptr<TemplateProgram> program_;
  TemplateLimits limits_;
  std::string bos_token_;
  std::string eos_token_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_CHAT_TEMPLATE_H_
