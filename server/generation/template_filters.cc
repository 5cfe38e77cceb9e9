#include "server/generation/template_filters.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/generation/template_access.h"
#include "server/generation/template_arguments.h"
#include "server/generation/template_methods.h"
#include "server/generation/template_print.h"
#include "server/generation/template_run.h"
#include "server/generation/template_tests.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

absl::StatusOr<TemplateString> TextOf(TemplateRun& run, const TemplateValue& value) {
  absl::StatusOr<TemplateString> text = ToText(value);
  if (!text.ok()) return text;
  if (absl::Status status = run.ChargeBytes(text->size()); !status.ok()) return status;
  return text;
}

Result StringFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  absl::StatusOr<TemplateString> text = TextOf(run, self);
  if (!text.ok()) return text.status();
  return *std::move(text);
}

// The string's method of the same arguments, on str(value).
template <const char* name>
Result MethodFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  absl::StatusOr<TemplateString> text = TextOf(run, self);
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
  const absl::StatusOr<TemplateString> text = TextOf(run, self);
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
  for (size_t i : {0, 2, 3}) {
    const TemplateValue* argument = (*bound)[i];
    if (argument != nullptr && IsTrue(*argument)) {
      return absl::InternalError("tojson: only the argument indent is supported");
    }
  }
  constexpr int64_t kMaxIndent = 32;
  const absl::StatusOr<int64_t> indent = IntegerArgument((*bound)[1], -1);
  if (!indent.ok()) return indent.status();
  if (*indent > kMaxIndent) return absl::InternalError(absl::StrCat("tojson: expected indent up to ", kMaxIndent));
  TemplateString text;
  if (absl::Status status = AppendJson(self, *indent, text); !status.ok()) return status;
  if (absl::Status status = run.ChargeBytes(text.size()); !status.ok()) return status;
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
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  const std::vector<TemplateValue>& items = (*list)->items;
  if (items.empty()) return TemplateValue();
  return last ? items.back() : items.front();
}

// The attribute of a dotted path: names, and numbers of items.
Result GetPath(TemplateRun& run, TemplateValue value, const TemplateValue& path) {
  if (path.AsInteger().has_value()) return GetItem(run, value, path);
  if (path.AsText() == nullptr) {
    return absl::InternalError(absl::StrCat("expected the name of an attribute, got ", Describe(path)));
  }
  for (absl::string_view name : absl::StrSplit(path.AsText()->text(), '.')) {
    int64_t index = 0;
    Result part = GetItem(run, value,
                          absl::SimpleAtoi(name, &index) && index >= 0 ? TemplateValue(index)
                                                                       : TemplateValue(TemplateString::Trusted(name)));
    if (!part.ok()) return part;
    value = *std::move(part);
  }
  return value;
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
    if (!is_first && *separator != nullptr) text.Append(**separator);
    is_first = false;
    const size_t before = text.size();
    const Result value = (*bound)[1] != nullptr ? GetPath(run, item, *(*bound)[1]) : Result(item);
    if (!value.ok()) return value.status();
    if (absl::Status status = AppendText(*value, text); !status.ok()) return status;
    if (absl::Status status = run.ChargeBytes(text.size() - before); !status.ok()) return status;
  }
  return text;
}

Result ListFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  if (absl::Status status = run.Charge((*list)->items.size()); !status.ok()) return status;
  return run.NewList((*list)->items);
}

Result ItemsFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (self.AsUndefined() != nullptr) return run.NewList({});
  if (self.AsDict() == nullptr) return absl::InternalError(absl::StrCat("expected dict, got ", Describe(self)));
  return FindTemplateMethod(self, "items")(run, self, arguments);
}

Result IntFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"default"});
  if (!bound.ok()) return bound.status();
  if (self.AsUndefined() != nullptr)
    return absl::InternalError(absl::StrCat("expected a number, got ", Describe(self)));
  if (self.AsInteger().has_value()) return *self.AsInteger();
  std::optional<double> number = self.AsNumber();
  if (const TemplateString* text = self.AsText()) {
    if (absl::Status status = run.ChargeBytes(text->size()); !status.ok()) return status;
    int64_t integer = 0;
    if (absl::SimpleAtoi(text->text(), &integer)) return integer;
    double parsed = 0;
    if (absl::SimpleAtod(text->text(), &parsed)) number = parsed;
  }
  // What int64_t can hold.
  if (number.has_value() && std::fabs(*number) < 0x1p63) return static_cast<int64_t>(*number);
  return (*bound)[0] != nullptr ? *(*bound)[0] : TemplateValue(int64_t{0});
}

// The items whose attribute passes a test, or is true if none is named; or those where it does not.
template <bool selected>
Result SelectAttributeFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (arguments.positional.empty()) return absl::InternalError("the name of an attribute is missing");
  TemplateOperation test = nullptr;
  TemplateArguments rest;
  if (arguments.positional.size() > 1) {
    const absl::StatusOr<const TemplateString*> name = TextArgument(&arguments.positional[1]);
    if (!name.ok()) return name.status();
    if (*name != nullptr) test = FindTemplateTest((*name)->text());
    if (test == nullptr) return absl::InternalError("unknown test");
    rest.positional.assign(arguments.positional.begin() + 2, arguments.positional.end());
  }
  rest.named = arguments.named;
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  std::vector<TemplateValue> items;
  for (const TemplateValue& item : (*list)->items) {
    if (absl::Status status = run.Charge(1); !status.ok()) return status;
    Result passes = GetPath(run, item, arguments.positional[0]);
    if (passes.ok() && test != nullptr) passes = test(run, *passes, rest);
    if (!passes.ok()) return passes;
    if (IsTrue(*passes) == selected) items.push_back(item);
  }
  return run.NewList(std::move(items));
}

// An attribute of each item, or what a filter makes of each.
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
    if (absl::Status status = run.Charge(1); !status.ok()) return status;
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
    {"int", IntFilter},
    {"selectattr", SelectAttributeFilter<true>},
    {"rejectattr", SelectAttributeFilter<false>},
    {"map", MapFilter},
};

}  // namespace

TemplateOperation FindTemplateFilter(absl::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return filter.operation;
  }
  return nullptr;
}

}  // namespace predictd
