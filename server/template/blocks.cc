// The part of the interpreter for macros and for blocks whose output does not go into the template's text.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/template/interpreter.h"

namespace predictd {

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const AssignBlockStatement& assign) {
  const Result text = WriteFiltered(assign.body, assign.filters);
  if (!text.ok()) return text.status();
  if (absl::Status status = Assign(assign.target, *text); !status.ok()) return status;
  return Flow::kNext;
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const FilterBlockStatement& block) {
  const Result text = WriteFiltered(block.body, block.filters);
  if (!text.ok()) return text.status();
  if (absl::Status status = Print(*text); !status.ok()) return status;
  return Flow::kNext;
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const CallBlockStatement& block) {
  const auto& call = std::get<CallExpression>(block.call->node);
  const Result callee = Evaluate(*call.callee);
  if (!callee.ok()) return callee.status();
  absl::StatusOr<TemplateArguments> arguments = EvaluateArguments(call.arguments);
  if (!arguments.ok()) return arguments.status();
  macros_.push_back({&block.caller, scope_});
  arguments->named.emplace_back("caller", static_cast<const TemplateMacro*>(&macros_.back()));
  const Result value = Call(*callee, *arguments);
  if (!value.ok()) return value.status();
  if (absl::Status status = Print(*value); !status.ok()) return status;
  return Flow::kNext;
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const ScopeStatement& scope) {
  std::vector<TemplateValue> values;
  for (const auto& [target, expression] : scope.values) {
    Result value = Evaluate(*expression);
    if (!value.ok()) return value.status();
    values.push_back(*std::move(value));
  }
  TemplateScope* const outer = std::exchange(scope_, run_.NewScope(scope_));
  absl::Status status;
  for (size_t i = 0; i < values.size() && status.ok(); ++i) status = Assign(scope.values[i].first, values[i]);
  absl::StatusOr<Flow> flow = status.ok() ? ExecuteBody(scope.body) : status;
  scope_ = outer;
  return flow;
}

absl::StatusOr<TemplateString> TemplateInterpreter::Write(const TemplateBody& body, TemplateScope* scope) {
  TemplateScope* const outer_scope = std::exchange(scope_, scope);
  TemplateString written = std::exchange(output_, TemplateString());
  const absl::Status status = ExecuteBody(body).status();
  scope_ = outer_scope;
  std::swap(output_, written);
  if (!status.ok()) return status;
  return written;
}

TemplateInterpreter::Result TemplateInterpreter::WriteFiltered(const TemplateBody& body,
                                                               const TemplateFilters& filters) {
  absl::StatusOr<TemplateString> text = Write(body, run_.NewScope(scope_));
  if (!text.ok()) return text.status();
  Result value = TemplateValue(*std::move(text));
  for (const auto& [filter, expressions] : filters) {
    const absl::StatusOr<TemplateArguments> arguments = EvaluateArguments(expressions);
    if (!arguments.ok()) return arguments.status();
    value = filter(run_, *value, *arguments);
    if (!value.ok()) return value;
  }
  return value;
}

// --- Macros ---

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const MacroStatement& macro) {
  macros_.push_back({&macro, scope_});
  scope_->Set(macro.name, static_cast<const TemplateMacro*>(&macros_.back()));
  return Flow::kNext;
}

TemplateInterpreter::Result TemplateInterpreter::CallMacro(const TemplateMacro& macro,
                                                           const TemplateArguments& arguments) {
  TemplateScope* const scope = run_.NewScope(macro.scope);
  TemplateScope* const caller = std::exchange(scope_, scope);
  const absl::Status bound = BindParameters(*macro.statement, arguments, *scope);
  scope_ = caller;
  if (!bound.ok()) return bound;
  absl::StatusOr<TemplateString> text = Write(macro.statement->body, scope);
  if (!text.ok()) return text.status();
  return *std::move(text);
}

absl::Status TemplateInterpreter::BindParameters(const MacroStatement& macro, const TemplateArguments& arguments,
                                                 TemplateScope& scope) {
  const size_t count = macro.parameters.size();
  const auto own = [&macro](absl::string_view name) -> TemplateName {
    const auto found = std::find_if(macro.own_names.begin(), macro.own_names.end(),
                                    [name](TemplateName candidate) { return *candidate == name; });
    return found == macro.own_names.end() ? nullptr : *found;
  };
  const size_t positional = std::min(arguments.positional.size(), count);
  if (const TemplateName varargs = own("varargs")) {
    const auto rest = arguments.positional.begin() + static_cast<std::ptrdiff_t>(positional);
    scope.Set(varargs, run_.NewList({rest, arguments.positional.end()}, /*is_tuple=*/true));
  } else if (arguments.positional.size() > count) {
    return absl::InternalError(
        absl::StrCat("the macro '", *macro.name, "' takes ", count, " arguments, got ", arguments.positional.size()));
  }
  const TemplateName caller = own("caller");
  if (caller != nullptr) scope.Set(caller, TemplateUndefined{caller});
  const TemplateName kwargs = own("kwargs");
  TemplateDict* const further = kwargs != nullptr ? run_.NewDict() : nullptr;
  if (kwargs != nullptr) scope.Set(kwargs, further);
  std::vector<const TemplateValue*> given(count);
  for (size_t i = 0; i < positional; ++i) given[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    size_t i = 0;
    while (i < count && *macro.parameters[i] != name) ++i;
    if (i < count && given[i] == nullptr) {
      given[i] = &value;
    } else if (i == count && caller != nullptr && name == "caller") {
      scope.Set(caller, value);
    } else if (further != nullptr) {
      further->entries.emplace_back(TemplateString::Trusted(name), value);
    } else {
      return absl::InternalError(absl::StrCat("the macro '", *macro.name, "' has no open argument '", name, "'"));
    }
  }
  const size_t required = count - macro.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    if (given[i] != nullptr) {
      scope.Set(macro.parameters[i], *given[i]);
    } else if (i < required) {
      scope.Set(macro.parameters[i], TemplateUndefined{macro.parameters[i]});
    } else {
      Result value = Evaluate(*macro.defaults[i - required]);
      if (!value.ok()) return value.status();
      scope.Set(macro.parameters[i], *std::move(value));
    }
  }
  return absl::OkStatus();
}

}  // namespace predictd
