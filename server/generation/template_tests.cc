#include "server/generation/template_tests.h"

#include "server/generation/template_arguments.h"
#include "server/generation/template_run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

bool IsDefined(const TemplateValue& value) {
  return value.AsUndefined() == nullptr;
}
bool IsUndefined(const TemplateValue& value) {
  return value.AsUndefined() != nullptr;
}
bool IsNone(const TemplateValue& value) {
  return value.Is<TemplateNone>();
}
bool IsString(const TemplateValue& value) {
  return value.AsText() != nullptr;
}
bool IsMapping(const TemplateValue& value) {
  return value.AsDict() != nullptr;
}
bool IsBoolean(const TemplateValue& value) {
  return value.Is<bool>();
}
bool IsTrueItself(const TemplateValue& value) {
  return value.Is<bool>() && IsTrue(value);
}
bool IsFalseItself(const TemplateValue& value) {
  return value.Is<bool>() && !IsTrue(value);
}
// To Python a bool is a number.
bool IsNumber(const TemplateValue& value) {
  return value.AsNumber().has_value();
}
// Something undefined is an empty sequence to Jinja.
bool IsSequence(const TemplateValue& value) {
  return value.AsText() != nullptr || value.AsList() != nullptr || value.AsDict() != nullptr || IsUndefined(value);
}

template <bool (*predicate)(const TemplateValue&)>
Result Test(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  return predicate(self);
}

Result TestEqual(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"other"}, 1);
  if (!bound.ok()) return bound.status();
  return AreEqual(self, *bound->front());
}

Result TestIn(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"seq"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<bool> found = Contains(*bound->front(), self);
  if (!found.ok()) return found.status();
  return *found;
}

struct NamedTest {
  absl::string_view name;
  TemplateOperation operation;
};

constexpr NamedTest kTests[] = {
    {"defined", Test<IsDefined>},
    {"undefined", Test<IsUndefined>},
    {"none", Test<IsNone>},
    {"string", Test<IsString>},
    {"mapping", Test<IsMapping>},
    {"iterable", Test<IsSequence>},
    {"sequence", Test<IsSequence>},
    {"boolean", Test<IsBoolean>},
    {"number", Test<IsNumber>},
    {"true", Test<IsTrueItself>},
    {"false", Test<IsFalseItself>},
    {"equalto", TestEqual},
    {"eq", TestEqual},
    {"==", TestEqual},
    {"in", TestIn},
};

}  // namespace

TemplateOperation FindTemplateTest(absl::string_view name) {
  for (const NamedTest& test : kTests) {
    if (test.name == name) return test.operation;
  }
  return nullptr;
}

}  // namespace predictd
