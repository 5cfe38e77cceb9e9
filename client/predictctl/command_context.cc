#include "client/predictctl/command_context.h"

#include "client/error_details.h"
#include "client/predictctl/call_report.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"

namespace predictd {
namespace {

constexpr absl::Duration kSideCallDeadline = absl::Seconds(10);

}  // namespace

CallOptions CommandContext::MainCall() const {
  return {.deadline = arguments.deadline, .control = control};
}

CallOptions CommandContext::SideCall() const {
  return {.deadline = kSideCallDeadline, .control = control};
}

int CommandContext::ReportCall(const absl::Status& status, const CallInfo& info) const {
  const int exit_code = ExitCodeOfCall(status, control->cancelled());
  if (exit_code == kExitInterrupted) {
    err << "predictctl: interrupted, the call was cancelled\n";
  } else if (exit_code != kExitOk) {
    err << "predictctl: " << ErrorText(info.error.value_or(DetailsOf(status, "", "")), "  ");
  }
  return exit_code;
}

int CommandContext::FailCall(const absl::Status& status, const CallInfo& info) const {
  if (arguments.json) {
    const ErrorDetails error = info.error.value_or(DetailsOf(status, "", ""));
    out << JsonLine({{"error", ErrorJson(error)}, {"timings", TimingsJson(info)}}) << "\n";
  }
  return ReportCall(status, info);
}

int CommandContext::ReportLocal(const absl::Status& status) const {
  err << "predictctl: " << status.message() << "\n";
  return kExitLocalError;
}

}  // namespace predictd
