#include "server/generation/template_value.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr int kMaxDepth = 64;

bool AreEqualTo(const TemplateValue& a, const TemplateValue& b, int depth);

bool AreEqual(const TemplateList& a, const TemplateList& b, int depth) {
  return a.is_tuple == b.is_tuple && std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                                                [depth](const TemplateValue& left, const TemplateValue& right) {
                                                  return AreEqualTo(left, right, depth);
                                                });
}

bool AreEqual(const TemplateDict& a, const TemplateDict& b, int depth) {
  return a.entries.size() == b.entries.size() &&
         std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
           const TemplateValue* value = b.Find(entry.first);
           return value != nullptr && AreEqualTo(entry.second, *value, depth);
         });
}

bool AreEqualTo(const TemplateValue& a, const TemplateValue& b, int depth) {
  if (depth == 0) return false;
  if (a.AsText() != nullptr && b.AsText() != nullptr) return a.AsText()->text() == b.AsText()->text();
  if (a.AsInteger().has_value() && b.AsInteger().has_value()) return a.AsInteger() == b.AsInteger();
  if (a.AsNumber().has_value() && b.AsNumber().has_value()) return a.AsNumber() == b.AsNumber();
  if (a.AsList() != nullptr && b.AsList() != nullptr) return AreEqual(*a.AsList(), *b.AsList(), depth - 1);
  if (a.AsDict() != nullptr && b.AsDict() != nullptr) return AreEqual(*a.AsDict(), *b.AsDict(), depth - 1);
  if (a.AsUndefined() != nullptr) return b.AsUndefined() != nullptr;
  if (a.Is<TemplateNone>()) return b.Is<TemplateNone>();
  // The others are the same or not.
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

const TemplateValue* TemplateDict::Find(const TemplateValue& key) const {
  for (const auto& [name, value] : entries) {
    if (AreEqual(name, key)) return &value;
  }
  return nullptr;
}

const TemplateValue* TemplateDict::Find(absl::string_view key) const {
  for (const auto& [name, value] : entries) {
    if (name.AsText() != nullptr && name.AsText()->text() == key) return &value;
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

bool AreEqual(const TemplateValue& a, const TemplateValue& b) {
  return AreEqualTo(a, b, kMaxDepth);
}

absl::StatusOr<bool> IsLess(const TemplateValue& a, const TemplateValue& b) {
  // Bytes of UTF-8 have the order of the characters.
  if (a.AsText() != nullptr && b.AsText() != nullptr) return a.AsText()->text() < b.AsText()->text();
  if (a.AsInteger().has_value() && b.AsInteger().has_value()) return *a.AsInteger() < *b.AsInteger();
  if (a.AsNumber().has_value() && b.AsNumber().has_value()) return *a.AsNumber() < *b.AsNumber();
  return absl::InternalError(absl::StrCat("cannot order ", Describe(a), " and ", Describe(b)));
}

absl::StatusOr<bool> Contains(const TemplateValue& container, const TemplateValue& value) {
  if (const TemplateString* text = container.AsText(); text != nullptr && value.AsText() != nullptr) {
    return text->text().find(value.AsText()->text()) != std::string::npos;
  }
  if (const TemplateList* list = container.AsList()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&value](const TemplateValue& item) { return AreEqual(item, value); });
  }
  if (const TemplateDict* dict = container.AsDict()) return dict->Find(value) != nullptr;
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
