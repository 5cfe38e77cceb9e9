#include "server/generation/template_functions.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/generation/template_arguments.h"
#include "server/generation/template_print.h"
#include "server/generation/template_run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

Result Range(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"start", "stop", "step"}, 1);
  if (!bound.ok()) return bound.status();
  const bool has_start = (*bound)[1] != nullptr;
  const absl::StatusOr<int64_t> start = IntegerArgument(has_start ? (*bound)[0] : nullptr, 0);
  if (!start.ok()) return start.status();
  const absl::StatusOr<int64_t> stop = IntegerArgument((*bound)[has_start ? 1 : 0], 0);
  if (!stop.ok()) return stop.status();
  const absl::StatusOr<int64_t> step = IntegerArgument((*bound)[2], 1);
  if (!step.ok()) return step.status();
  if (*step == 0) return absl::InternalError("a range's step must not be 0");
  std::vector<TemplateValue> items;
  for (int64_t number = *start; *step > 0 ? number < *stop : number > *stop;) {
    if (absl::Status status = run.Charge(1); !status.ok()) return status;
    items.emplace_back(number);
    if (__builtin_add_overflow(number, *step, &number)) break;
  }
  return run.NewList(std::move(items));
}

Result Namespace(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  TemplateNamespace* space = run.NewNamespace();
  for (const TemplateValue& values : arguments.positional) {
    if (values.AsDict() == nullptr) return absl::InternalError(absl::StrCat("expected dict, got ", Describe(values)));
    for (const auto& [key, value] : values.AsDict()->entries) {
      if (key.AsText() == nullptr) return absl::InternalError(absl::StrCat("expected str as key, got ", Describe(key)));
      space->Set(key.AsText()->text(), value);
    }
  }
  for (const auto& [name, value] : arguments.named) space->Set(name, value);
  return space;
}

Result RaiseException(TemplateRun& /*run*/, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"message"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<TemplateString> message = ToText(*bound->front());
  if (!message.ok()) return message.status();
  return absl::InvalidArgumentError(message->text());
}

}  // namespace

TemplateOperation FindTemplateFunction(absl::string_view name) {
  if (name == "range") return Range;
  if (name == "namespace") return Namespace;
  if (name == "raise_exception") return RaiseException;
  return nullptr;
}

}  // namespace predictd
