#ifndef PREDICTD_SERVER_TEMPLATE_FILTERS_H_
#define PREDICTD_SERVER_TEMPLATE_FILTERS_H_

#include "absl/strings/string_view.h"
#include "server/template/value.h"

namespace predictd {

// The filter with that name, as defined by Jinja (tojson as in Hugging Face's Transformers, so nothing is escaped for
// HTML); nullptr if there is none. Where Jinja returns a lazy iterator (map, selectattr, rejectattr), the result is a
// list.
TemplateOperation FindTemplateFilter(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_FILTERS_H_
