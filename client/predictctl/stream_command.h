// predictctl stream MODEL
#ifndef PREDICTD_CLIENT_PREDICTCTL_STREAM_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_STREAM_COMMAND_H_

#include <vector>

#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/inputs.h"

namespace predictd {

// Runs the command, and returns the exit status.
int RunStream(const CommandContext& context, const StreamArguments& arguments, std::vector<Input> inputs);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_STREAM_COMMAND_H_
