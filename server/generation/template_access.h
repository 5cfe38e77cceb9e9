#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_ACCESS_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_ACCESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/generation/template_run.h"
#include "server/generation/template_value.h"

namespace predictd {

// `value.name` of a chat template: an attribute or method, else the entry of that key. Undefined if there is neither,
// INTERNAL if the value itself is undefined. `name` outlives the run.
absl::StatusOr<TemplateValue> GetAttribute(TemplateRun& run, const TemplateValue& value, const std::string& name);

// `value[key]`: an entry or item (of a string, a character), else the attribute of that name. Otherwise the same.
absl::StatusOr<TemplateValue> GetItem(TemplateRun& run, const TemplateValue& value, const TemplateValue& key);

// `value[start:stop:step]` of a list or string; None is a bound that is not given. INTERNAL for other values.
absl::StatusOr<TemplateValue> GetSlice(TemplateRun& run, const TemplateValue& value, const TemplateValue& start,
                                       const TemplateValue& stop, const TemplateValue& step);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_ACCESS_H_
