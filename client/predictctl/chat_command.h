// predictctl chat MODEL
#ifndef PREDICTD_CLIENT_PREDICTCTL_CHAT_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_CHAT_COMMAND_H_

#include <istream>

#include "client/predictctl/command_context.h"
#include "client/predictctl/generation_arguments.h"
#include "client/predictctl/interrupts.h"

namespace predictd {

// Where the questions come from, one on each line.
struct ChatInput {
  std::istream& in;
  // Whether a person types the questions, who then gets a prompt and may continue after a call that failed.
  bool is_terminal;
};

// Runs the command until there are no more lines, and returns the exit status. Aims `interrupts` at the answer that is
// being generated; between answers an interrupt clears
// the line that a person types, and otherwise ends the process.
int RunChat(const CommandContext& context, const ChatArguments& arguments, const ChatInput& input,
            Interrupts& interrupts);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CHAT_COMMAND_H_
