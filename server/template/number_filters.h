#ifndef PREDICTD_SERVER_TEMPLATE_NUMBER_FILTERS_H_
#define PREDICTD_SERVER_TEMPLATE_NUMBER_FILTERS_H_

#include "absl/strings/string_view.h"
#include "server/template/value.h"

namespace predictd {

// Jinja's filters that return numbers; nullptr if there is none with that name.
TemplateOperation FindTemplateNumberFilter(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_NUMBER_FILTERS_H_
