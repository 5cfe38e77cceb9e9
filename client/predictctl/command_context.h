// What every command works with.
#ifndef PREDICTD_CLIENT_PREDICTCTL_COMMAND_CONTEXT_H_
#define PREDICTD_CLIENT_PREDICTCTL_COMMAND_CONTEXT_H_

#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "client/call_info.h"
#include "client/client.h"
#include "client/predictctl/command_line.h"

namespace predictd {

// Borrowed from main for the duration of a command.
struct CommandContext {
  const Client& client;
  const CommonArguments& arguments;
  std::shared_ptr<CallControl> control;  // Cancelled by Ctrl-C.
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;

  // The options for the command's main call.
  CallOptions MainCall() const;

  // The options for a call that prepares the main one. It has its own deadline, so that the main call has all of
  // --deadline.
  CallOptions SideCall() const;

  // Tells the user on `err` that a call failed, and returns the exit status. With --json, `out` already says so, so
  // nothing is repeated on the same terminal. `hint` says what to do about it; empty: what HintFor says.
  int ReportCall(const absl::Status& status, const CallInfo& info, const std::string& hint = "") const;

  // The same for a call without which nothing else can be printed: with --json, `out` gets {"error": ...}.
  int FailCall(const absl::Status& status, const CallInfo& info, const std::string& hint = "") const;

  // The same for a local error.
  int ReportLocal(const absl::Status& status) const;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_COMMAND_CONTEXT_H_
