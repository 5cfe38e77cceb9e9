#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_FILTERS_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_FILTERS_H_

#include "absl/strings/string_view.h"
#include "server/generation/template_value.h"

namespace predictd {

// The filter of that name, as Jinja has it (tojson: as Hugging Face's Transformers have it, so nothing is escaped for
// HTML); nullptr if there is none. What Jinja computes on demand (map, selectattr, rejectattr) is a list.
TemplateOperation FindTemplateFilter(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_FILTERS_H_
