#include "server/template/methods.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/template/arguments.h"
#include "server/template/run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

template <StripSide side>
Result StripMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"chars"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> characters = TextArgument((*bound)[0]);
  if (!characters.ok()) return characters.status();
  // Each character of the string is searched for among those characters.
  const size_t looks = 1 + (*characters != nullptr ? (*characters)->size() : 0);
  if (absl::Status status = run.ChargeBytes(self.AsText()->cost() * looks); !status.ok()) return status;
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
      Split(*self.AsText(), *separator != nullptr ? &(*separator)->text() : nullptr, *max_splits, run.texts_left());
  if (absl::Status status = run.Charge(parts.size() * TemplateRun::kStepsPerText); !status.ok()) return status;
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
  // Either one affix, or several in a tuple.
  const absl::Span<const TemplateValue> affixes =
      affix.AsList() != nullptr ? absl::MakeConstSpan(affix.AsList()->items) : absl::MakeConstSpan(&affix, 1);
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
  // Converting is slower than copying by about this much.
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
  const TemplateString& text = *self.AsText();
  if (absl::Status status = run.ChargeBytes(text.cost()); !status.ok()) return status;
  size_t replacements = (*from)->empty() ? text.size() + 1 : CountParts(text.text(), (*from)->text());
  if (*count >= 0) replacements = std::min(replacements, static_cast<size_t>(*count));
  // Each piece between the replacements may take its own range of trusted bytes.
  if (absl::Status status = run.ChargeBytes(replacements * ((*to)->cost() + TemplateRun::kBytesPerStep));
      !status.ok()) {
    return status;
  }
  return Replace(text, (*from)->text(), **to, *count);
}

// The first or the last position of a part, in characters; -1 if it does not occur.
template <bool last>
Result FindMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"sub"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> part = TextArgument(bound->front());
  if (!part.ok()) return part.status();
  if (*part == nullptr) return absl::InternalError("expected str as argument, got None");
  const std::string& text = self.AsText()->text();
  if (absl::Status status = run.ChargeBytes(text.size()); !status.ok()) return status;
  const size_t found = last ? text.rfind((*part)->text()) : FindPart(text, (*part)->text(), 0);
  if (found == std::string::npos) return int64_t{-1};
  return static_cast<int64_t>(CountCharacters(absl::string_view(text).substr(0, found)));
}

Result CountMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"sub"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> part = TextArgument(bound->front());
  if (!part.ok()) return part.status();
  if (*part == nullptr) return absl::InternalError("expected str as argument, got None");
  const TemplateString& text = *self.AsText();
  if (absl::Status status = run.ChargeBytes(text.size()); !status.ok()) return status;
  if ((*part)->empty()) return static_cast<int64_t>(CountCharacters(text.text())) + 1;
  return static_cast<int64_t>(CountParts(text.text(), (*part)->text()));
}

Result SplitLinesMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  if (absl::Status status = run.Charge(self.AsText()->size()); !status.ok()) return status;
  std::vector<TemplateString> lines = SplitLines(*self.AsText(), run.texts_left());
  if (absl::Status status = run.Charge(lines.size() * TemplateRun::kStepsPerText); !status.ok()) return status;
  std::vector<TemplateValue> items;
  items.reserve(lines.size());
  for (TemplateString& line : lines) items.emplace_back(std::move(line));
  return run.NewList(std::move(items));
}

// Removes an affix, if it is there.
template <bool at_end>
Result RemoveAffixMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"affix"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> affix = TextArgument(bound->front());
  if (!affix.ok()) return affix.status();
  if (*affix == nullptr) return absl::InternalError("expected str as argument, got None");
  const TemplateString& text = *self.AsText();
  if (absl::Status status = run.ChargeBytes(text.size()); !status.ok()) return status;
  const size_t length = (*affix)->size();
  if (at_end) return absl::EndsWith(text.text(), (*affix)->text()) ? text.Part(0, text.size() - length) : text;
  return absl::StartsWith(text.text(), (*affix)->text()) ? text.Part(length, text.size()) : text;
}

Result JoinMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"iterable"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<TemplateList*> list = run.Iterate(*bound->front());
  if (!list.ok()) return list.status();
  TemplateString text;
  for (size_t i = 0; i < (*list)->items.size(); ++i) {
    const TemplateString* const item = (*list)->items[i].AsText();
    if (item == nullptr) {
      return absl::InternalError(absl::StrCat("expected str to join, got ", Describe((*list)->items[i])));
    }
    if (absl::Status status = run.ChargeBytes(item->cost() + self.AsText()->cost()); !status.ok()) return status;
    if (i > 0) text.Append(*self.AsText());
    text.Append(*item);
  }
  return text;
}

enum class DictPart { kItems, kKeys, kValues };

template <DictPart part>
Result DictMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  const TemplateDict& dict = *self.AsDict();
  const size_t steps = part == DictPart::kItems ? 2 * TemplateRun::kStepsPerText : TemplateRun::kStepsPerItem;
  if (absl::Status status = run.Charge(dict.entries.size() * steps); !status.ok()) return status;
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

Result GetMethod(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"key", "default"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateValue*> value = self.AsDict()->Find(run, *bound->front());
  if (!value.ok()) return value.status();
  if (*value != nullptr) return **value;
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
    {"find", FindMethod<false>},
    {"rfind", FindMethod<true>},
    {"count", CountMethod},
    {"splitlines", SplitLinesMethod},
    {"removeprefix", RemoveAffixMethod<false>},
    {"removesuffix", RemoveAffixMethod<true>},
    {"join", JoinMethod},
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
