// predictctl split MODEL
#ifndef PREDICTD_CLIENT_PREDICTCTL_SPLIT_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_SPLIT_COMMAND_H_

#include "client/predictctl/command_context.h"
#include "client/predictctl/control_arguments.h"

namespace predictd {

// Runs the command, and returns the exit status.
int RunSplit(const CommandContext& context, const SplitArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_SPLIT_COMMAND_H_
