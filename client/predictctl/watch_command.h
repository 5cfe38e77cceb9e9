// predictctl models --watch [NAME]
#ifndef PREDICTD_CLIENT_PREDICTCTL_WATCH_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_WATCH_COMMAND_H_

#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"

namespace predictd {

// Runs the command until the call ends, and returns the exit status.
int RunWatch(const CommandContext& context, const ModelsArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_WATCH_COMMAND_H_
