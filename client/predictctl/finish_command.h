// The end of a command whose call has a single answer.
#ifndef PREDICTD_CLIENT_PREDICTCTL_FINISH_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_FINISH_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/predictctl/command_context.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"

namespace predictd {

// Returns the exit status. `print(response, out)` shows an answer to people, and `hint` says what to do about a
// failure.
template <typename Response, typename Print>
int FinishCommand(const CommandContext& context, const absl::StatusOr<Response>& response, const CallInfo& info,
                  Print print, const std::string& hint = "") {
  if (!response.ok()) return context.FailCall(response.status(), info, hint);
  if (context.arguments.json) {
    context.out << JsonDocument({{"response", MessageJson(*response)}, {"timings", TimingsJson(info)}}) << "\n";
  } else {
    print(*response, context.out);
  }
  return kExitOk;
}

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_FINISH_COMMAND_H_
