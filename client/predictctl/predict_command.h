// predictctl predict MODEL
#ifndef PREDICTD_CLIENT_PREDICTCTL_PREDICT_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_PREDICT_COMMAND_H_

#include <vector>

#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/inputs.h"

namespace predictd {

// Runs the command, and returns the exit status.
int RunPredict(const CommandContext& context, const PredictArguments& arguments, std::vector<Input> inputs);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PREDICT_COMMAND_H_
