#include "server/generation/template_methods.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/generation/template_arguments.h"
#include "server/generation/template_run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

template <StripSide side>
Result StripMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"chars"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> characters = TextArgument((*bound)[0]);
  if (!characters.ok()) return characters.status();
  if (absl::Status status = run.ChargeBytes(self.AsText()->size()); !status.ok()) return status;
  return Strip(*self.AsText(), side, *characters != nullptr ? &(*characters)->text() : nullptr);
}

Result SplitMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"sep", "maxsplit"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> separator = TextArgument((*bound)[0]);
  if (!separator.ok()) return separator.status();
  const absl::StatusOr<int64_t> max_splits = IntegerArgument((*bound)[1], -1);
  if (!max_splits.ok()) return max_splits.status();
  if (*separator != nullptr && (*separator)->empty()) return absl::InternalError("cannot split at an empty string");
  if (absl::Status status = run.ChargeBytes(self.AsText()->size()); !status.ok()) return status;
  std::vector<TemplateString> parts =
      Split(*self.AsText(), *separator != nullptr ? &(*separator)->text() : nullptr, *max_splits);
  if (absl::Status status = run.Charge(parts.size()); !status.ok()) return status;
  std::vector<TemplateValue> items;
  items.reserve(parts.size());
  for (TemplateString& part : parts) items.emplace_back(std::move(part));
  return run.NewList(std::move(items));
}

template <bool at_end>
Result BeginsOrEndsMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"affix"}, 1);
  if (!bound.ok()) return bound.status();
  const TemplateValue& affix = *bound->front();
  // One, or several in a tuple.
  std::vector<TemplateValue> affixes = {affix};
  if (affix.AsList() != nullptr) affixes = affix.AsList()->items;
  const std::string& text = self.AsText()->text();
  for (const TemplateValue& candidate : affixes) {
    if (candidate.AsText() == nullptr) {
      return absl::InternalError(absl::StrCat("expected str or a tuple of str, got ", Describe(candidate)));
    }
    const std::string& part = candidate.AsText()->text();
    if (absl::Status status = run.ChargeBytes(part.size()); !status.ok()) return status;
    if (at_end ? absl::EndsWith(text, part) : absl::StartsWith(text, part)) return true;
  }
  return false;
}

template <LetterCase letter_case>
Result CaseMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  // Slower than a copy by about as much.
  if (absl::Status status = run.Charge(self.AsText()->size()); !status.ok()) return status;
  return ConvertCase(*self.AsText(), letter_case);
}

Result ReplaceMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"old", "new", "count"}, 2);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> from = TextArgument((*bound)[0]);
  if (!from.ok()) return from.status();
  const absl::StatusOr<const TemplateString*> to = TextArgument((*bound)[1]);
  if (!to.ok()) return to.status();
  const absl::StatusOr<int64_t> count = IntegerArgument((*bound)[2], -1);
  if (!count.ok()) return count.status();
  if (*from == nullptr || *to == nullptr) return absl::InternalError("expected str as argument, got None");
  // It may grow with each byte.
  const size_t size = self.AsText()->size() + 1;
  if (absl::Status status = run.ChargeBytes(size + size / ((*from)->size() + 1) * (*to)->size()); !status.ok()) {
    return status;
  }
  return Replace(*self.AsText(), (*from)->text(), **to, *count);
}

enum class DictPart { kItems, kKeys, kValues };

template <DictPart part>
Result DictMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  const TemplateDict& dict = *self.AsDict();
  if (absl::Status status = run.Charge(dict.entries.size()); !status.ok()) return status;
  std::vector<TemplateValue> items;
  for (const auto& [key, value] : dict.entries) {
    if (part == DictPart::kItems) {
      items.emplace_back(run.NewList({key, value}, /*is_tuple=*/true));
    } else {
      items.push_back(part == DictPart::kKeys ? key : value);
    }
  }
  return run.NewList(std::move(items));
}

Result GetMethod(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"key", "default"}, 1);
  if (!bound.ok()) return bound.status();
  if (const TemplateValue* value = self.AsDict()->Find(*bound->front())) return *value;
  return bound->back() != nullptr ? *bound->back() : TemplateNone{};
}

Result AppendMethod(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"object"}, 1);
  if (!bound.ok()) return bound.status();
  if (self.AsList()->is_tuple) return absl::InternalError("a tuple cannot be changed");
  self.AsList()->items.push_back(*bound->front());
  return TemplateNone{};
}

struct NamedMethod {
  absl::string_view name;
  TemplateOperation operation;
};

constexpr NamedMethod kTextMethods[] = {
    {"strip", StripMethod<StripSide::kBoth>},
    {"lstrip", StripMethod<StripSide::kLeft>},
    {"rstrip", StripMethod<StripSide::kRight>},
    {"split", SplitMethod},
    {"startswith", BeginsOrEndsMethod<false>},
    {"endswith", BeginsOrEndsMethod<true>},
    {"upper", CaseMethod<LetterCase::kUpper>},
    {"lower", CaseMethod<LetterCase::kLower>},
    {"title", CaseMethod<LetterCase::kTitle>},
    {"capitalize", CaseMethod<LetterCase::kCapitalized>},
    {"replace", ReplaceMethod},
};
constexpr NamedMethod kDictMethods[] = {
    {"items", DictMethod<DictPart::kItems>},
    {"keys", DictMethod<DictPart::kKeys>},
    {"values", DictMethod<DictPart::kValues>},
    {"get", GetMethod},
};
constexpr NamedMethod kListMethods[] = {{"append", AppendMethod}};

template <size_t size>
TemplateOperation Find(const NamedMethod (&methods)[size], absl::string_view name) {
  for (const NamedMethod& method : methods) {
    if (method.name == name) return method.operation;
  }
  return nullptr;
}

}  // namespace

TemplateOperation FindTemplateMethod(const TemplateValue& value, absl::string_view name) {
  if (value.AsText() != nullptr) return Find(kTextMethods, name);
  if (value.AsDict() != nullptr) return Find(kDictMethods, name);
  if (value.AsList() != nullptr) return Find(kListMethods, name);
  return nullptr;
}

}  // namespace predictd
