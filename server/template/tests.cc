#include "server/template/tests.h"

#include "server/template/arguments.h"
#include "server/template/arithmetic.h"
#include "server/template/run.h"

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
// In Python, a bool is a number.
bool IsNumber(const TemplateValue& value) {
  return value.AsNumber().has_value();
}
// In Jinja, an undefined value is an empty sequence.
bool IsSequence(const TemplateValue& value) {
  return value.AsText() != nullptr || value.AsList() != nullptr || value.AsDict() != nullptr || IsUndefined(value);
}

bool IsCallable(const TemplateValue& value) {
  return value.AsFunction() != nullptr || value.AsMethod() != nullptr || value.AsMacro() != nullptr;
}
bool IsInteger(const TemplateValue& value) {
  return value.Is<int64_t>();
}
bool IsFloat(const TemplateValue& value) {
  return value.Is<double>();
}

template <bool (*predicate)(const TemplateValue&)>
Result Test(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  return predicate(self);
}

// Wraps the bool in a template value.
Result ToResult(const absl::StatusOr<bool>& holds) {
  return holds.ok() ? Result(*holds) : holds.status();
}

Result TestEqual(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"other"}, 1);
  if (!bound.ok()) return bound.status();
  return ToResult(AreEqual(run, self, *bound->front()));
}

Result TestIn(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"seq"}, 1);
  if (!bound.ok()) return bound.status();
  return ToResult(Contains(run, *bound->front(), self));
}

template <bool equal>
Result TestEquality(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  Result result = TestEqual(run, self, arguments);
  return result.ok() && !equal ? Result(!IsTrue(*result)) : result;
}

// self < other, or with `swapped` other < self, or the negation of that.
template <bool swapped, bool negated>
Result TestOrder(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"other"}, 1);
  if (!bound.ok()) return bound.status();
  const TemplateValue& other = *bound->front();
  const absl::StatusOr<bool> less = swapped ? IsLess(run, other, self) : IsLess(run, self, other);
  if (!less.ok()) return less.status();
  return *less != negated;
}

// Python's `is`, except that equal numbers and strings count as the same.
Result TestSameAs(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"other"}, 1);
  if (!bound.ok()) return bound.status();
  const TemplateValue& other = *bound->front();
  if (self.AsList() != nullptr || other.AsList() != nullptr) return self.AsList() == other.AsList();
  if (self.AsDict() != nullptr || other.AsDict() != nullptr) return self.AsDict() == other.AsDict();
  if (self.Is<bool>() != other.Is<bool>() || self.Is<double>() != other.Is<double>()) return false;
  return ToResult(AreEqual(run, self, other));
}

// self % divisor == remainder
absl::StatusOr<bool> HasRemainder(TemplateRun& run, const TemplateValue& self, const TemplateValue& divisor,
                                  int64_t remainder) {
  const Result rest = Calculate(run, ArithmeticOperator::kModulo, self, divisor);
  if (!rest.ok()) return rest.status();
  return AreEqual(run, *rest, remainder);
}

template <int64_t remainder>
Result TestParity(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  return ToResult(HasRemainder(run, self, int64_t{2}, remainder));
}

Result TestDivisible(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"num"}, 1);
  if (!bound.ok()) return bound.status();
  return ToResult(HasRemainder(run, self, *bound->front(), 0));
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
    {"callable", Test<IsCallable>},
    {"integer", Test<IsInteger>},
    {"float", Test<IsFloat>},
    {"equalto", TestEquality<true>},
    {"eq", TestEquality<true>},
    {"==", TestEquality<true>},
    {"ne", TestEquality<false>},
    {"!=", TestEquality<false>},
    {"lt", TestOrder<false, false>},
    {"lessthan", TestOrder<false, false>},
    {"<", TestOrder<false, false>},
    {"gt", TestOrder<true, false>},
    {"greaterthan", TestOrder<true, false>},
    {">", TestOrder<true, false>},
    {"le", TestOrder<true, true>},
    {"<=", TestOrder<true, true>},
    {"ge", TestOrder<false, true>},
    {">=", TestOrder<false, true>},
    {"sameas", TestSameAs},
    {"even", TestParity<0>},
    {"odd", TestParity<1>},
    {"divisibleby", TestDivisible},
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
