#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_PRINT_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_PRINT_H_

#include "absl/status/status.h"
#include "server/generation/template_string.h"
#include "server/generation/template_value.h"

// In all of these, strings keep where they come from; what is printed around them, and numbers, is the template's.
// INTERNAL for what cannot be printed (functions, containers nested more than 64 times).

namespace predictd {

// Python's str(value); undefined is nothing.
absl::Status AppendText(const TemplateValue& value, TemplateString& text);
absl::StatusOr<TemplateString> ToText(const TemplateValue& value);

// Python's json.dumps(value, ensure_ascii=False, indent=indent); on one line if `indent` is negative.
absl::Status AppendJson(const TemplateValue& value, int64_t indent, TemplateString& text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_PRINT_H_
