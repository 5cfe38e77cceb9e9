#include "client/predictctl/call_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace predictd {
namespace {

std::string Milliseconds(absl::Duration duration) {
  return absl::StrFormat("%.2f ms", absl::ToDoubleMilliseconds(duration));
}

// Whether the message only says what is wrong with the first field, as predictd's messages do.
bool RepeatsFields(const ErrorDetails& error) {
  if (error.field_violations.empty()) return false;
  const FieldViolation& first = error.field_violations.front();
  absl::string_view rest = error.message;
  if (!absl::ConsumePrefix(&rest, absl::StrCat(first.field, ": ", first.description))) return false;
  return rest.empty() || rest == absl::StrCat(" (and ", error.field_violations.size() - 1, " more)");
}

}  // namespace

std::string ErrorText(const ErrorDetails& error, const std::string& indent) {
  std::string text = CodeName(error.code);
  if (!RepeatsFields(error)) {
    absl::StrAppend(&text, error.message.empty() ? "" : ": ", error.message, "\n");
  } else {
    // A single violation goes into the first line.
    absl::StrAppend(&text, error.field_violations.size() == 1 ? ": " : "\n");
  }
  for (const FieldViolation& violation : error.field_violations) {
    const bool in_first_line = text.back() != '\n';
    absl::StrAppend(&text, in_first_line ? "" : indent, violation.field, ": ", violation.description, "\n");
  }
  if (error.retry_forbidden) absl::StrAppend(&text, indent, "do not try again\n");
  if (error.retry_after.has_value()) {
    absl::StrAppend(&text, indent, "try again in ", absl::FormatDuration(*error.retry_after), "\n");
  }
  return text;
}

std::string TimingsText(const CallInfo& info) {
  std::string text;
  for (const TimingMetric& metric : info.timings) {
    absl::StrAppend(&text, metric.name);
    if (metric.duration.has_value()) absl::StrAppend(&text, " ", Milliseconds(*metric.duration));
    if (!metric.description.empty()) absl::StrAppend(&text, " ", metric.description);
    absl::StrAppend(&text, ", ");
  }
  return absl::StrCat(text, "round trip ", Milliseconds(info.elapsed));
}

}  // namespace predictd
