// predictctl load MODEL, predictctl unload MODEL, predictctl reload MODEL
#ifndef PREDICTD_CLIENT_PREDICTCTL_CONTROL_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_CONTROL_COMMAND_H_

#include "client/predictctl/command_context.h"
#include "client/predictctl/control_arguments.h"

namespace predictd {

// Runs the command, and returns the exit status.
int RunControl(const CommandContext& context, const ControlArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CONTROL_COMMAND_H_
