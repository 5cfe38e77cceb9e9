#include "client/predictctl/conversation.h"

#include <utility>

namespace predictd {
namespace {

void AddMessage(v1::Chat& chat, const std::string& role, const std::string& content) {
  v1::ChatMessage& message = *chat.add_messages();
  message.set_role(role);
  message.set_content(content);
}

}  // namespace

Conversation::Conversation(std::optional<std::string> system, TemplateArguments template_arguments)
    : system_(std::move(system)), template_arguments_(std::move(template_arguments)) {}

void Conversation::SetSystem(std::optional<std::string> system) {
  system_ = std::move(system);
}

void Conversation::Reset() {
  turns_.clear_messages();
}

void Conversation::Add(const std::string& question, const std::string& answer) {
  AddMessage(turns_, "user", question);
  AddMessage(turns_, "assistant", answer);
}

int Conversation::DropOlderHalf() {
  const int dropped = (turns() + 1) / 2;
  turns_.mutable_messages()->DeleteSubrange(0, 2 * dropped);
  return dropped;
}

v1::Chat Conversation::Ask(const std::string& question) const {
  v1::Chat chat;
  if (system_.has_value()) AddMessage(chat, "system", *system_);
  chat.MergeFrom(turns_);
  AddMessage(chat, "user", question);
  *chat.mutable_template_arguments() = template_arguments_;
  return chat;
}

}  // namespace predictd
