#ifndef PREDICTD_SERVER_TEMPLATE_ARGUMENTS_H_
#define PREDICTD_SERVER_TEMPLATE_ARGUMENTS_H_

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/template/value.h"

namespace predictd {

// The arguments of one call in a chat template.
class TemplateArguments {
 public:
  std::vector<TemplateValue> positional;
  // In the order of the call.
  std::vector<std::pair<std::string, TemplateValue>> named;

  // The argument for each of the parameters, nullptr if none was given. INTERNAL if a parameter does not exist or is
  // given twice, or if one of the first `required` is missing. The result refers to this object.
  absl::StatusOr<std::vector<const TemplateValue*>> Bind(std::initializer_list<absl::string_view> parameters,
                                                         size_t required = 0) const;
};

// The argument as the required type; nullptr or `fallback` if it was not given or is None. INTERNAL if it is anything
// else.
absl::StatusOr<const TemplateString*> TextArgument(const TemplateValue* argument);
absl::StatusOr<int64_t> IntegerArgument(const TemplateValue* argument, int64_t fallback);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_ARGUMENTS_H_
