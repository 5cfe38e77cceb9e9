#include "client/predictctl/call_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace predictd {
namespace {

std::string Milliseconds(absl::Duration duration) {
  return absl::StrFormat("%.2f ms", absl::ToDoubleMilliseconds(duration));
}

}  // namespace

std::string ErrorText(const ErrorDetails& error, const std::string& indent) {
  std::string text = absl::StrCat(CodeName(error.code), error.message.empty() ? "" : ": ", error.message, "\n");
  for (const FieldViolation& violation : error.field_violations) {
    absl::StrAppend(&text, indent, violation.field, ": ", violation.description, "\n");
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
