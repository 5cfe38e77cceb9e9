#include "server/template/filters.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/template/access.h"
#include "server/template/arguments.h"
#include "server/template/arithmetic.h"
#include "server/template/list_filters.h"
#include "server/template/methods.h"
#include "server/template/number_filters.h"
#include "server/template/print.h"
#include "server/template/run.h"
#include "server/template/tests.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

Result StringFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  absl::StatusOr<TemplateString> text = ToText(run, self);
  if (!text.ok()) return text.status();
  return *std::move(text);
}

// Applies the string method with that name to str(value), with the same arguments.
template <const char* name>
Result MethodFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  absl::StatusOr<TemplateString> text = ToText(run, self);
  if (!text.ok()) return text.status();
  const TemplateValue value = *std::move(text);
  return FindTemplateMethod(value, name)(run, value, arguments);
}
constexpr char kStrip[] = "strip";
constexpr char kUpper[] = "upper";
constexpr char kLower[] = "lower";
constexpr char kCapitalize[] = "capitalize";
constexpr char kReplace[] = "replace";

Result TitleFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  const absl::StatusOr<TemplateString> text = ToText(run, self);
  if (!text.ok()) return text.status();
  if (absl::Status status = run.Charge(text->size()); !status.ok()) return status;
  return ConvertCase(*text, LetterCase::kWords);
}

Result LengthFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  if (const TemplateString* text = self.AsText()) {
    if (absl::Status status = run.ChargeBytes(text->size()); !status.ok()) return status;
    return static_cast<int64_t>(CountCharacters(text->text()));
  }
  if (self.AsList() != nullptr) return static_cast<int64_t>(self.AsList()->items.size());
  if (self.AsDict() != nullptr) return static_cast<int64_t>(self.AsDict()->entries.size());
  if (self.AsUndefined() != nullptr) return int64_t{0};
  return absl::InternalError(absl::StrCat(Describe(self), " has no length"));
}

Result ToJsonFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  if (!bound.ok()) return bound.status();
  constexpr int64_t kMaxIndent = 32;
  const absl::StatusOr<int64_t> indent = IntegerArgument((*bound)[1], -1);
  if (!indent.ok()) return indent.status();
  if (*indent > kMaxIndent) return absl::InternalError(absl::StrCat("tojson: expected indent up to ", kMaxIndent));
  TemplateJsonStyle style;
  style.ascii = (*bound)[0] != nullptr && IsTrue(*(*bound)[0]);
  style.indent = *indent;
  if (*indent >= 0) style.between_items = TemplateString::Trusted(",");
  if ((*bound)[2] != nullptr && !(*bound)[2]->Is<TemplateNone>()) {
    const TemplateList* const separators = (*bound)[2]->AsList();
    const bool fits = separators != nullptr && separators->items.size() == 2 &&
                      separators->items[0].AsText() != nullptr && separators->items[1].AsText() != nullptr;
    if (!fits) return absl::InternalError("tojson: expected two strings as separators");
    style.between_items = *separators->items[0].AsText();
    style.behind_key = *separators->items[1].AsText();
  }
  style.sorts_keys = (*bound)[3] != nullptr && IsTrue(*(*bound)[3]);
  TemplateString text;
  if (absl::Status status = AppendJson(run, self, style, text); !status.ok()) return status;
  return text;
}

Result DefaultFilter(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"default_value", "boolean"});
  if (!bound.ok()) return bound.status();
  const bool for_false = (*bound)[1] != nullptr && IsTrue(*(*bound)[1]);
  if (self.AsUndefined() == nullptr && !(for_false && !IsTrue(self))) return self;
  return (*bound)[0] != nullptr ? *(*bound)[0] : TemplateValue(TemplateString());
}

template <bool last>
Result EndFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  // This avoids making a string for each character.
  if (self.AsText() != nullptr) return GetItem(run, self, int64_t{last ? -1 : 0});
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  const std::vector<TemplateValue>& items = (*list)->items;
  if (items.empty()) return TemplateValue();
  return last ? items.back() : items.front();
}

Result JoinFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"d", "attribute"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> separator = TextArgument((*bound)[0]);
  if (!separator.ok()) return separator.status();
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  TemplateString text;
  bool is_first = true;
  for (const TemplateValue& item : (*list)->items) {
    if (!is_first && *separator != nullptr) {
      if (absl::Status status = run.ChargeBytes((*separator)->cost()); !status.ok()) return status;
      text.Append(**separator);
    }
    is_first = false;
    const Result value = (*bound)[1] != nullptr ? GetPath(run, item, *(*bound)[1]) : Result(item);
    if (!value.ok()) return value.status();
    if (absl::Status status = AppendText(run, *value, text); !status.ok()) return status;
  }
  return text;
}

Result ListFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  const size_t size = (*list)->items.size();
  if (absl::Status status = run.Charge(size * TemplateRun::kStepsPerItem); !status.ok()) return status;
  return run.NewList((*list)->items);
}

Result ItemsFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (self.AsUndefined() != nullptr) return run.NewList({});
  if (self.AsDict() == nullptr) return absl::InternalError(absl::StrCat("expected dict, got ", Describe(self)));
  return FindTemplateMethod(self, "items")(run, self, arguments);
}

// Indents all lines but the first by a number of spaces, or by a text.
Result IndentFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"width", "first", "blank"});
  if (!bound.ok()) return bound.status();
  const bool first = (*bound)[1] != nullptr && IsTrue(*(*bound)[1]);
  const bool blank = (*bound)[2] != nullptr && IsTrue(*(*bound)[2]);
  TemplateString indent = TemplateString::Trusted("    ");
  if (const TemplateValue* width = (*bound)[0]) {
    const Result spaces = width->AsText() != nullptr
                              ? Result(*width)
                              : Calculate(run, ArithmeticOperator::kMultiply, TemplateString::Trusted(" "), *width);
    if (!spaces.ok()) return spaces.status();
    indent = *spaces->AsText();
  }
  if (self.AsText() == nullptr) return absl::InternalError(absl::StrCat("expected str, got ", Describe(self)));
  TemplateString text = *self.AsText();
  if (absl::Status status = run.Charge(text.size()); !status.ok()) return status;
  text.AppendTrusted("\n");
  const std::vector<TemplateString> lines = SplitLines(text, run.texts_left());
  const size_t steps = TemplateRun::kStepsPerText + indent.cost() / TemplateRun::kBytesPerStep;
  if (absl::Status status = run.Charge(lines.size() * steps); !status.ok()) return status;
  TemplateString result;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result.AppendTrusted("\n");
    if (i == 0 ? first : blank || !lines[i].empty()) result.Append(indent);
    result.Append(lines[i]);
  }
  return result;
}

// The items that pass a test, or that are true if no test is named; if not `selected`, the others. With `of_attribute`,
// an attribute of each item is tested instead of the item.
template <bool selected, bool of_attribute>
Result SelectFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  constexpr size_t kTest = of_attribute ? 1 : 0;
  if (arguments.positional.size() < kTest) return absl::InternalError("the name of an attribute is missing");
  TemplateOperation test = nullptr;
  TemplateArguments rest;
  if (arguments.positional.size() > kTest) {
    const absl::StatusOr<const TemplateString*> name = TextArgument(&arguments.positional[kTest]);
    if (!name.ok()) return name.status();
    if (*name != nullptr) test = FindTemplateTest((*name)->text());
    if (test == nullptr) return absl::InternalError("unknown test");
    rest.positional.assign(arguments.positional.begin() + kTest + 1, arguments.positional.end());
  }
  rest.named = arguments.named;
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  std::vector<TemplateValue> items;
  for (const TemplateValue& item : (*list)->items) {
    if (absl::Status status = run.Charge(TemplateRun::kStepsPerItem); !status.ok()) return status;
    Result passes = of_attribute ? GetPath(run, item, arguments.positional[0]) : Result(item);
    if (passes.ok() && test != nullptr) passes = test(run, *passes, rest);
    if (!passes.ok()) return passes;
    if (IsTrue(*passes) == selected) items.push_back(item);
  }
  return run.NewList(std::move(items));
}

// An attribute of each item, or the result of a filter for each item.
Result MapFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  TemplateOperation filter = nullptr;
  TemplateArguments rest;
  const TemplateValue* attribute = nullptr;
  const TemplateValue* fallback = nullptr;
  if (arguments.positional.empty()) {
    const auto bound = arguments.Bind({"attribute", "default"}, 1);
    if (!bound.ok()) return bound.status();
    attribute = bound->front();
    fallback = bound->back();
  } else {
    const absl::StatusOr<const TemplateString*> name = TextArgument(&arguments.positional[0]);
    if (!name.ok()) return name.status();
    if (*name != nullptr) filter = FindTemplateFilter((*name)->text());
    if (filter == nullptr) return absl::InternalError("unknown filter");
    rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
    rest.named = arguments.named;
  }
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  std::vector<TemplateValue> items;
  for (const TemplateValue& item : (*list)->items) {
    if (absl::Status status = run.Charge(TemplateRun::kStepsPerItem); !status.ok()) return status;
    Result value = filter != nullptr ? filter(run, item, rest) : GetPath(run, item, *attribute);
    if (!value.ok()) return value;
    items.push_back(fallback != nullptr && value->AsUndefined() != nullptr ? *fallback : *std::move(value));
  }
  return run.NewList(std::move(items));
}

struct NamedFilter {
  absl::string_view name;
  TemplateOperation operation;
};

constexpr NamedFilter kFilters[] = {
    {"trim", MethodFilter<kStrip>},
    {"upper", MethodFilter<kUpper>},
    {"lower", MethodFilter<kLower>},
    {"capitalize", MethodFilter<kCapitalize>},
    {"replace", MethodFilter<kReplace>},
    {"title", TitleFilter},
    {"string", StringFilter},
    {"length", LengthFilter},
    {"count", LengthFilter},
    {"tojson", ToJsonFilter},
    {"default", DefaultFilter},
    {"d", DefaultFilter},
    {"first", EndFilter<false>},
    {"last", EndFilter<true>},
    {"join", JoinFilter},
    {"list", ListFilter},
    {"items", ItemsFilter},
    {"indent", IndentFilter},
    {"select", SelectFilter<true, false>},
    {"reject", SelectFilter<false, false>},
    {"selectattr", SelectFilter<true, true>},
    {"rejectattr", SelectFilter<false, true>},
    {"map", MapFilter},
};

}  // namespace

TemplateOperation FindTemplateFilter(absl::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return filter.operation;
  }
  const TemplateOperation filter = FindTemplateListFilter(name);
  return filter != nullptr ? filter : FindTemplateNumberFilter(name);
}

}  // namespace predictd
