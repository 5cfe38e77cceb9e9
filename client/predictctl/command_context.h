// What every command works with.
#ifndef PREDICTD_CLIENT_PREDICTCTL_COMMAND_CONTEXT_H_
#define PREDICTD_CLIENT_PREDICTCTL_COMMAND_CONTEXT_H_

#include <memory>
#include <ostream>

#include "absl/status/status.h"
#include "client/call_info.h"
#include "client/client.h"
#include "client/predictctl/command_line.h"

namespace predictd {

// Borrowed from main for the length of a command.
struct CommandContext {
  const Client& client;
  const CommonArguments& arguments;
  std::shared_ptr<CallControl> control;  // Cancelled by Ctrl-C.
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;

  // For the command's main call.
  CallOptions MainCall() const;

  // For a call that prepares the main one. It has a deadline of its own, so that the main call has all of --deadline.
  CallOptions SideCall() const;

  // Tells the user that a call failed, on `err`, and returns the exit status.
  int ReportCall(const absl::Status& status, const CallInfo& info) const;

  // The same for a call without which there is nothing else to print: with --json, `out` gets {"error": ...}.
  int FailCall(const absl::Status& status, const CallInfo& info) const;

  // The same for what went wrong here.
  int ReportLocal(const absl::Status& status) const;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_COMMAND_CONTEXT_H_
