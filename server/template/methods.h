#ifndef PREDICTD_SERVER_TEMPLATE_METHODS_H_
#define PREDICTD_SERVER_TEMPLATE_METHODS_H_

#include "absl/strings/string_view.h"
#include "server/template/value.h"

namespace predictd {

// The method of a string, list or dict, as in Python; nullptr if the value has none with that name.
TemplateOperation FindTemplateMethod(const TemplateValue& value, absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_METHODS_H_
