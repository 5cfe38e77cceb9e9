// predictctl generate MODEL [PROMPT]
#ifndef PREDICTD_CLIENT_PREDICTCTL_GENERATE_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_GENERATE_COMMAND_H_

#include <string>

#include "client/predictctl/command_context.h"
#include "client/predictctl/generation_arguments.h"

namespace predictd {

// Runs the command on a prompt that has been read, and returns the exit status.
int RunGenerate(const CommandContext& context, const GenerateArguments& arguments, const std::string& prompt);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_GENERATE_COMMAND_H_
