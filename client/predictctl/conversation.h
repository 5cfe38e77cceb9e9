// What was said in a chat.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CONVERSATION_H_
#define PREDICTD_CLIENT_PREDICTCTL_CONVERSATION_H_

#include <optional>
#include <string>

#include "client/predictctl/template_arguments.h"
#include "predictd/v1/generation.pb.h"

namespace predictd {

// A system message, if there is one, and the questions and answers so far. A plain value.
class Conversation {
 public:
  // `template_arguments` are sent with every question.
  explicit Conversation(std::optional<std::string> system, TemplateArguments template_arguments = {});

  // Sets or removes the system message for the questions that follow.
  void SetSystem(std::optional<std::string> system);

  // Forgets all questions and answers.
  void Reset();

  void Add(const std::string& question, const std::string& answer);

  // How many questions with their answers there are.
  int turns() const { return turns_.messages_size() / 2; }

  // Forgets the older half of them, at least one if there is one, and returns how many those were. One by one would
  // leave a full context full: the next answer would have no room.
  int DropOlderHalf();

  // The chat to send: everything that was said, and a further question.
  v1::Chat Ask(const std::string& question) const;

 private:
  std::optional<std::string> system_;
  TemplateArguments template_arguments_;
  v1::Chat turns_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CONVERSATION_H_
