#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_METHODS_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_METHODS_H_

#include "absl/strings/string_view.h"
#include "server/generation/template_value.h"

namespace predictd {

// The method of strings, lists or dicts, as Python has it; nullptr if the value has none of that name.
TemplateOperation FindTemplateMethod(const TemplateValue& value, absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_METHODS_H_
