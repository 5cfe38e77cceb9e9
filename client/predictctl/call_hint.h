// What to do about a call that failed.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CALL_HINT_H_
#define PREDICTD_CLIENT_PREDICTCTL_CALL_HINT_H_

#include <string>

#include "absl/status/status.h"
#include "client/call_info.h"
#include "client/error_details.h"
#include "client/predictctl/command_line.h"

namespace predictd {

// A line for people, without a newline, about what they can change on the command line: the address, TLS, --cast. Empty
// if the error already says everything.
std::string HintFor(const ErrorDetails& error, const CallInfo& info, const CommonArguments& arguments);

// The same for a call that changes what is served.
std::string ControlHint(const absl::Status& status);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CALL_HINT_H_
