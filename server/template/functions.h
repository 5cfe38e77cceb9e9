#ifndef PREDICTD_SERVER_TEMPLATE_FUNCTIONS_H_
#define PREDICTD_SERVER_TEMPLATE_FUNCTIONS_H_

#include "absl/strings/string_view.h"
#include "server/template/value.h"

namespace predictd {

// The functions that every chat template may call: range, namespace and raise_exception, whose message becomes an
// INVALID_ARGUMENT. nullptr if there is none with that name.
TemplateOperation FindTemplateFunction(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_FUNCTIONS_H_
