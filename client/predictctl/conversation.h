// What was said in a chat.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CONVERSATION_H_
#define PREDICTD_CLIENT_PREDICTCTL_CONVERSATION_H_

#include <optional>
#include <string>

#include "predictd/v1/generation.pb.h"

namespace predictd {

// A system message, if there is one, and the questions and answers so far. A plain value.
class Conversation {
 public:
  explicit Conversation(std::optional<std::string> system);

  // For the questions to come; none: without.
  void SetSystem(std::optional<std::string> system);

  // Forgets all questions and answers.
  void Reset();

  void Add(const std::string& question, const std::string& answer);

  // What the model is asked: all that was said, and a further question.
  v1::Chat Ask(const std::string& question) const;

 private:
  std::optional<std::string> system_;
  v1::Chat turns_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CONVERSATION_H_
