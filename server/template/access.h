#ifndef PREDICTD_SERVER_TEMPLATE_ACCESS_H_
#define PREDICTD_SERVER_TEMPLATE_ACCESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/template/run.h"
#include "server/template/value.h"

namespace predictd {

// `value.name` of a chat template: an attribute or a method, or else the entry with that key. Undefined if there is
// neither; INTERNAL if the value itself is undefined. `name` must outlive the run.
absl::StatusOr<TemplateValue> GetAttribute(TemplateRun& run, const TemplateValue& value, const std::string& name);

// `value[key]`: an entry or an item (of a string, a character), or else the attribute of that name. Otherwise like
// GetAttribute.
absl::StatusOr<TemplateValue> GetItem(TemplateRun& run, const TemplateValue& value, const TemplateValue& key);

// `value[start:stop:step]` of a list or string; a bound that is not given is None. INTERNAL for other values.
absl::StatusOr<TemplateValue> GetSlice(TemplateRun& run, const TemplateValue& value, const TemplateValue& start,
                                       const TemplateValue& stop, const TemplateValue& step);

// The attribute at the end of a dotted path of names and item numbers.
absl::StatusOr<TemplateValue> GetPath(TemplateRun& run, TemplateValue value, const TemplateValue& path);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_ACCESS_H_
