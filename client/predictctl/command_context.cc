#include "client/predictctl/command_context.h"

#include "client/error_details.h"
#include "client/predictctl/call_hint.h"
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

int CommandContext::ReportCall(const absl::Status& status, const CallInfo& info, const std::string& hint) const {
  const int exit_code = ExitCodeOfCall(status, control->cancelled());
  if (exit_code == kExitOk) return exit_code;
  if (exit_code == kExitInterrupted) {
    err << "predictctl: interrupted, the call was cancelled\n";
    return exit_code;
  }
  const ErrorDetails error = info.error.value_or(DetailsOf(status, "", ""));
  if (!(arguments.json && out_is_terminal)) err << "predictctl: " << ErrorText(error, "  ");
  const std::string advice = hint.empty() ? HintFor(error, info, arguments) : hint;
  if (!advice.empty()) err << "  hint: " << advice << "\n";
  return exit_code;
}

int CommandContext::FailCall(const absl::Status& status, const CallInfo& info, const std::string& hint) const {
  if (arguments.json) {
    const ErrorDetails error = info.error.value_or(DetailsOf(status, "", ""));
    out << JsonLine({{"error", ErrorJson(error)}, {"timings", TimingsJson(info)}}) << "\n";
  }
  return ReportCall(status, info, hint);
}

int CommandContext::ReportLocal(const absl::Status& status) const {
  err << "predictctl: " << status.message() << "\n";
  return kExitLocalError;
}

}  // namespace predictd
