#ifndef PREDICTD_SERVER_TEMPLATE_PRINT_H_
#define PREDICTD_SERVER_TEMPLATE_PRINT_H_

#include "absl/status/status.h"
#include "server/template/run.h"
#include "server/template/string.h"
#include "server/template/value.h"

// In all of these, strings keep their origin; numbers, and everything printed around strings, count as the template's.
// INTERNAL for values that cannot be printed (functions, containers nested more than 64 times). The run is charged for
// the text as it is written.

namespace predictd {

// Python's str(value); an undefined value gives no text.
absl::Status AppendText(TemplateRun& run, const TemplateValue& value, TemplateString& text);
absl::StatusOr<TemplateString> ToText(TemplateRun& run, const TemplateValue& value);

// The arguments of Python's json.dumps, with the defaults that templates have.
struct TemplateJsonStyle {
  bool ascii = false;
  // If negative, everything is on one line.
  int64_t indent = -1;
  TemplateString between_items = TemplateString::Trusted(", ");
  TemplateString behind_key = TemplateString::Trusted(": ");
  bool sorts_keys = false;
};

// Python's json.dumps(value, ...).
absl::Status AppendJson(TemplateRun& run, const TemplateValue& value, const TemplateJsonStyle& style,
                        TemplateString& text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_PRINT_H_
