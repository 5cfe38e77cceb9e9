#include "server/template/arguments.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace predictd {

absl::StatusOr<std::vector<const TemplateValue*>> TemplateArguments::Bind(
    std::initializer_list<absl::string_view> parameters, size_t required) const {
  if (positional.size() > parameters.size()) {
    return absl::InternalError(
        absl::StrCat("expected at most ", parameters.size(), " arguments, got ", positional.size()));
  }
  std::vector<const TemplateValue*> bound(parameters.size());
  for (size_t i = 0; i < positional.size(); ++i) bound[i] = &positional[i];
  for (const auto& [name, value] : named) {
    const auto* const parameter = std::find(parameters.begin(), parameters.end(), name);
    if (parameter == parameters.end()) return absl::InternalError(absl::StrCat("unknown argument '", name, "'"));
    const TemplateValue*& place = bound[static_cast<size_t>(parameter - parameters.begin())];
    if (place != nullptr) return absl::InternalError(absl::StrCat("two values for argument '", name, "'"));
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound[i] == nullptr) {
      return absl::InternalError(absl::StrCat("argument '", parameters.begin()[i], "' is missing"));
    }
  }
  return bound;
}

absl::StatusOr<const TemplateString*> TextArgument(const TemplateValue* argument) {
  if (argument == nullptr || argument->Is<TemplateNone>()) return nullptr;
  if (argument->AsText() != nullptr) return argument->AsText();
  return absl::InternalError(absl::StrCat("expected str as argument, got ", Describe(*argument)));
}

absl::StatusOr<int64_t> IntegerArgument(const TemplateValue* argument, int64_t fallback) {
  if (argument == nullptr || argument->Is<TemplateNone>()) return fallback;
  if (const std::optional<int64_t> number = argument->AsInteger()) return *number;
  return absl::InternalError(absl::StrCat("expected int as argument, got ", Describe(*argument)));
}

}  // namespace predictd
