#include "server/template/value.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/template/run.h"

namespace predictd {
namespace {

constexpr int kMaxComparedDepth = 64;

absl::StatusOr<bool> AreEqualTo(TemplateRun& run, const TemplateValue& a, const TemplateValue& b, int depth);

absl::StatusOr<bool> AreEqual(TemplateRun& run, const TemplateList& a, const TemplateList& b, int depth) {
  if (a.is_tuple != b.is_tuple || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    absl::StatusOr<bool> equal = AreEqualTo(run, a.items[i], b.items[i], depth);
    if (!equal.ok() || !*equal) return equal;
  }
  return true;
}

absl::StatusOr<bool> AreEqual(TemplateRun& run, const TemplateDict& a, const TemplateDict& b, int depth) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const absl::StatusOr<const TemplateValue*> other = b.Find(run, key);
    if (!other.ok()) return other.status();
    if (*other == nullptr) return false;
    absl::StatusOr<bool> equal = AreEqualTo(run, value, **other, depth);
    if (!equal.ok() || !*equal) return equal;
  }
  return true;
}

absl::StatusOr<bool> AreEqual(TemplateRun& run, absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  if (absl::Status status = run.ChargeBytes(a.size()); !status.ok()) return status;
  return a == b;
}

absl::StatusOr<bool> AreEqualTo(TemplateRun& run, const TemplateValue& a, const TemplateValue& b, int depth) {
  if (depth == 0) return false;
  if (absl::Status status = run.Charge(1); !status.ok()) return status;
  if (a.AsText() != nullptr && b.AsText() != nullptr) return AreEqual(run, a.AsText()->text(), b.AsText()->text());
  if (a.AsInteger().has_value() && b.AsInteger().has_value()) return a.AsInteger() == b.AsInteger();
  if (a.AsNumber().has_value() && b.AsNumber().has_value()) return a.AsNumber() == b.AsNumber();
  if (a.AsList() != nullptr && b.AsList() != nullptr) return AreEqual(run, *a.AsList(), *b.AsList(), depth - 1);
  if (a.AsDict() != nullptr && b.AsDict() != nullptr) return AreEqual(run, *a.AsDict(), *b.AsDict(), depth - 1);
  if (a.AsUndefined() != nullptr) return b.AsUndefined() != nullptr;
  if (a.Is<TemplateNone>()) return b.Is<TemplateNone>();
  // The other types are equal only if they are the same object.
  return (a.AsNamespace() != nullptr && a.AsNamespace() == b.AsNamespace()) ||
         (a.AsLoop() != nullptr && a.AsLoop() == b.AsLoop()) ||
         (a.AsMacro() != nullptr && a.AsMacro() == b.AsMacro()) ||
         (a.AsFunction() != nullptr && a.AsFunction() == b.AsFunction());
}

}  // namespace

std::optional<int64_t> TemplateValue::AsInteger() const {
  if (const auto* truth = std::get_if<bool>(&value_)) return *truth ? 1 : 0;
  if (const auto* number = std::get_if<int64_t>(&value_)) return *number;
  return std::nullopt;
}

std::optional<double> TemplateValue::AsNumber() const {
  if (const auto* number = std::get_if<double>(&value_)) return *number;
  if (const std::optional<int64_t> number = AsInteger()) return static_cast<double>(*number);
  return std::nullopt;
}

absl::StatusOr<const TemplateValue*> TemplateDict::Find(TemplateRun& run, const TemplateValue& key) const {
  if (key.AsText() != nullptr) return Find(run, key.AsText()->text());
  for (const auto& [name, value] : entries) {
    const absl::StatusOr<bool> equal = AreEqual(run, name, key);
    if (!equal.ok()) return equal.status();
    if (*equal) return &value;
  }
  return nullptr;
}

absl::StatusOr<const TemplateValue*> TemplateDict::Find(TemplateRun& run, absl::string_view key) const {
  if (absl::Status status = run.ChargeLookup(entries.size()); !status.ok()) return status;
  for (const auto& [name, value] : entries) {
    if (name.AsText() == nullptr || name.AsText()->size() != key.size()) continue;
    // Comparing many long keys with a common beginning takes as long as reading other texts.
    if (key.size() > TemplateRun::kBytesPerStep) {
      if (absl::Status status = run.ChargeBytes(key.size()); !status.ok()) return status;
    }
    if (name.AsText()->text() == key) return &value;
  }
  return nullptr;
}

const TemplateValue* TemplateNamespace::Find(absl::string_view name) const {
  for (const auto& [known, value] : attributes) {
    if (known == name) return &value;
  }
  return nullptr;
}

void TemplateNamespace::Set(absl::string_view name, TemplateValue value) {
  for (auto& [known, old] : attributes) {
    if (known != name) continue;
    old = std::move(value);
    return;
  }
  attributes.emplace_back(name, std::move(value));
}

TemplateValue TemplateLoop::Find(absl::string_view name) const {
  const size_t length = items->size();
  if (name == "index") return static_cast<int64_t>(index + 1);
  if (name == "index0") return static_cast<int64_t>(index);
  if (name == "revindex") return static_cast<int64_t>(length - index);
  if (name == "revindex0") return static_cast<int64_t>(length - index - 1);
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == length;
  if (name == "length") return static_cast<int64_t>(length);
  if (name == "previtem" && index > 0) return (*items)[index - 1];
  if (name == "nextitem" && index + 1 < length) return (*items)[index + 1];
  return {};
}

bool IsTrue(const TemplateValue& value) {
  if (value.AsUndefined() != nullptr || value.Is<TemplateNone>()) return false;
  if (const TemplateString* text = value.AsText()) return !text->empty();
  if (const std::optional<double> number = value.AsNumber()) return *number != 0;
  if (const TemplateList* list = value.AsList()) return !list->items.empty();
  if (const TemplateDict* dict = value.AsDict()) return !dict->entries.empty();
  return true;
}

absl::StatusOr<bool> AreEqual(TemplateRun& run, const TemplateValue& a, const TemplateValue& b) {
  return AreEqualTo(run, a, b, kMaxComparedDepth);
}

absl::StatusOr<bool> IsLess(TemplateRun& run, const TemplateValue& a, const TemplateValue& b) {
  if (absl::Status status = run.Charge(1); !status.ok()) return status;
  if (a.AsText() != nullptr && b.AsText() != nullptr) {
    const size_t compared = std::min(a.AsText()->size(), b.AsText()->size());
    if (absl::Status status = run.ChargeBytes(compared); !status.ok()) return status;
    // The bytes of UTF-8 sort in the order of the characters.
    return a.AsText()->text() < b.AsText()->text();
  }
  if (a.AsInteger().has_value() && b.AsInteger().has_value()) return *a.AsInteger() < *b.AsInteger();
  if (a.AsNumber().has_value() && b.AsNumber().has_value()) return *a.AsNumber() < *b.AsNumber();
  return absl::InternalError(absl::StrCat("cannot order ", Describe(a), " and ", Describe(b)));
}

absl::StatusOr<bool> Contains(TemplateRun& run, const TemplateValue& container, const TemplateValue& value) {
  if (const TemplateString* text = container.AsText(); text != nullptr && value.AsText() != nullptr) {
    if (absl::Status status = run.ChargeBytes(text->size() + value.AsText()->size()); !status.ok()) return status;
    return FindPart(text->text(), value.AsText()->text(), 0) != std::string::npos;
  }
  if (const TemplateList* list = container.AsList()) {
    for (const TemplateValue& item : list->items) {
      absl::StatusOr<bool> equal = AreEqual(run, item, value);
      if (!equal.ok() || *equal) return equal;
    }
    return false;
  }
  if (const TemplateDict* dict = container.AsDict()) {
    const absl::StatusOr<const TemplateValue*> found = dict->Find(run, value);
    if (!found.ok()) return found.status();
    return *found != nullptr;
  }
  if (container.AsUndefined() != nullptr) return false;
  return absl::InternalError(absl::StrCat("cannot look for ", Describe(value), " in ", Describe(container)));
}

std::string Describe(const TemplateValue& value) {
  if (const TemplateUndefined* undefined = value.AsUndefined()) {
    return undefined->name != nullptr ? absl::StrCat("undefined '", *undefined->name, "'") : "undefined";
  }
  if (value.Is<TemplateNone>()) return "None";
  if (value.Is<bool>()) return "bool";
  if (value.Is<int64_t>()) return "int";
  if (value.Is<double>()) return "float";
  if (value.AsText() != nullptr) return "str";
  if (value.AsList() != nullptr) return value.AsList()->is_tuple ? "tuple" : "list";
  if (value.AsDict() != nullptr) return "dict";
  if (value.AsNamespace() != nullptr) return "namespace";
  if (value.AsLoop() != nullptr) return "loop";
  if (value.AsMacro() != nullptr) return "macro";
  return "function";
}

}  // namespace predictd
