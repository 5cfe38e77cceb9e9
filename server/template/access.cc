#include "server/template/access.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/template/methods.h"

namespace predictd {
namespace {

absl::Status UndefinedError(const TemplateValue& value) {
  return absl::InternalError(absl::StrCat("cannot look into ", Describe(value)));
}

absl::Status ChargeLookup(TemplateRun& run, const TemplateValue& value) {
  return value.AsNamespace() != nullptr ? run.ChargeLookup(value.AsNamespace()->attributes.size()) : absl::OkStatus();
}

// An attribute of the value, as opposed to an entry.
std::optional<TemplateValue> FindMember(TemplateRun& run, const TemplateValue& value, absl::string_view name) {
  if (const TemplateNamespace* space = value.AsNamespace()) {
    const TemplateValue* found = space->Find(name);
    return found != nullptr ? std::make_optional(*found) : std::nullopt;
  }
  if (const TemplateLoop* loop = value.AsLoop()) return loop->Find(name);
  if (const TemplateOperation method = FindTemplateMethod(value, name)) {
    return static_cast<const TemplateMethod*>(run.NewMethod({value, method}));
  }
  return std::nullopt;
}

absl::StatusOr<TemplateValue> GetCharacter(TemplateRun& run, const TemplateString& text, int64_t index) {
  if (absl::Status status = run.ChargeBytes(text.size()); !status.ok()) return status;
  if (index < 0) index += static_cast<int64_t>(CountCharacters(text.text()));
  if (index < 0) return TemplateValue();
  const size_t begin = AdvanceCharacters(text.text(), 0, static_cast<size_t>(index));
  if (begin == text.size()) return TemplateValue();
  return text.Part(begin, AdvanceCharacters(text.text(), begin, 1));
}

// The bound of a slice, as in Python: from the end if negative, and within [least, most].
absl::StatusOr<int64_t> Bound(const TemplateValue& bound, int64_t fallback, int64_t length, int64_t least,
                              int64_t most) {
  if (bound.Is<TemplateNone>()) return fallback;
  const std::optional<int64_t> number = bound.AsInteger();
  if (!number.has_value()) return absl::InternalError(absl::StrCat("expected int as bound, got ", Describe(bound)));
  return std::clamp(*number < 0 ? *number + length : *number, least, most);
}

}  // namespace

absl::StatusOr<TemplateValue> GetAttribute(TemplateRun& run, const TemplateValue& value, const std::string& name) {
  if (value.AsUndefined() != nullptr) return UndefinedError(value);
  if (absl::Status status = ChargeLookup(run, value); !status.ok()) return status;
  if (std::optional<TemplateValue> member = FindMember(run, value, name)) return *std::move(member);
  if (const TemplateDict* dict = value.AsDict()) {
    const absl::StatusOr<const TemplateValue*> entry = dict->Find(run, name);
    if (!entry.ok()) return entry.status();
    if (*entry != nullptr) return **entry;
  }
  return TemplateUndefined{&name};
}

absl::StatusOr<TemplateValue> GetItem(TemplateRun& run, const TemplateValue& value, const TemplateValue& key) {
  if (value.AsUndefined() != nullptr) return UndefinedError(value);
  if (const TemplateDict* dict = value.AsDict()) {
    const absl::StatusOr<const TemplateValue*> entry = dict->Find(run, key);
    if (!entry.ok()) return entry.status();
    if (*entry != nullptr) return **entry;
  }
  if (const std::optional<int64_t> index = key.AsInteger()) {
    if (const TemplateString* text = value.AsText()) return GetCharacter(run, *text, *index);
    if (const TemplateList* list = value.AsList()) {
      const auto length = static_cast<int64_t>(list->items.size());
      const int64_t place = *index < 0 ? *index + length : *index;
      if (place >= 0 && place < length) return list->items[static_cast<size_t>(place)];
    }
  }
  if (key.AsText() != nullptr) {
    if (absl::Status status = ChargeLookup(run, value); !status.ok()) return status;
    if (std::optional<TemplateValue> member = FindMember(run, value, key.AsText()->text())) return *std::move(member);
  }
  return TemplateValue();
}

absl::StatusOr<TemplateValue> GetSlice(TemplateRun& run, const TemplateValue& value, const TemplateValue& start,
                                       const TemplateValue& stop, const TemplateValue& step) {
  if (value.AsText() == nullptr && value.AsList() == nullptr) {
    return absl::InternalError(absl::StrCat("cannot slice ", Describe(value)));
  }
  const absl::StatusOr<int64_t> stride =
      Bound(step, 1, 0, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
  if (!stride.ok()) return stride.status();
  if (*stride == 0) return absl::InternalError("a slice's step must not be 0");
  if (value.AsText() != nullptr) {
    if (absl::Status status = run.ChargeBytes(value.AsText()->size()); !status.ok()) return status;
  }
  const auto length = static_cast<int64_t>(value.AsText() != nullptr ? CountCharacters(value.AsText()->text())
                                                                     : value.AsList()->items.size());
  const int64_t least = *stride > 0 ? 0 : -1;
  const int64_t most = *stride > 0 ? length : length - 1;
  const absl::StatusOr<int64_t> first = Bound(start, *stride > 0 ? least : most, length, least, most);
  if (!first.ok()) return first.status();
  const absl::StatusOr<int64_t> end = Bound(stop, *stride > 0 ? most : least, length, least, most);
  if (!end.ok()) return end.status();

  if (value.AsText() != nullptr && *stride == 1) {
    const TemplateString& text = *value.AsText();
    const size_t begin = AdvanceCharacters(text.text(), 0, static_cast<size_t>(*first));
    return text.Part(begin,
                     AdvanceCharacters(text.text(), begin, static_cast<size_t>(std::max<int64_t>(*end - *first, 0))));
  }
  const absl::StatusOr<TemplateList*> all = run.Iterate(value);
  if (!all.ok()) return all.status();
  const int64_t distance = *stride > 0 ? *end - *first : *first - *end;
  const auto count = static_cast<size_t>(std::max<int64_t>(distance, 0) / std::abs(*stride) + 1);
  if (absl::Status status = run.Charge(count * TemplateRun::kStepsPerItem); !status.ok()) return status;
  std::vector<TemplateValue> items;
  items.reserve(count);
  for (int64_t i = *first; *stride > 0 ? i < *end : i > *end; i += *stride) {
    items.push_back((*all)->items[static_cast<size_t>(i)]);
  }
  if (value.AsText() == nullptr) return run.NewList(std::move(items), value.AsList()->is_tuple);
  TemplateString text;
  for (const TemplateValue& item : items) text.Append(*item.AsText());
  return text;
}

absl::StatusOr<TemplateValue> GetPath(TemplateRun& run, TemplateValue value, const TemplateValue& path) {
  if (path.AsInteger().has_value()) return GetItem(run, value, path);
  if (path.AsText() == nullptr) {
    return absl::InternalError(absl::StrCat("expected the name of an attribute, got ", Describe(path)));
  }
  for (absl::string_view name : absl::StrSplit(path.AsText()->text(), '.')) {
    int64_t index = 0;
    absl::StatusOr<TemplateValue> part =
        GetItem(run, value,
                absl::SimpleAtoi(name, &index) && index >= 0 ? TemplateValue(index)
                                                             : TemplateValue(TemplateString::Trusted(name)));
    if (!part.ok()) return part;
    value = *std::move(part);
  }
  return value;
}

}  // namespace predictd
