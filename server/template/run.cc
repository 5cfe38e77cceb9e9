#include "server/template/run.h"

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// About a millisecond of work.
constexpr int64_t kStepsBetweenLooks = 8192;

}  // namespace

const TemplateValue* TemplateScope::Find(const std::string* name) const {
  for (const TemplateScope* scope = this; scope != nullptr; scope = scope->parent) {
    for (const auto& [known, value] : scope->variables) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void TemplateScope::Set(const std::string* name, TemplateValue value) {
  for (auto& [known, old] : variables) {
    if (known != name) continue;
    old = std::move(value);
    return;
  }
  variables.emplace_back(name, std::move(value));
}

absl::Status TemplateRun::Charge(size_t steps) {
  steps_ += static_cast<int64_t>(steps);
  if (steps_ > limits_.max_steps) {
    return absl::InternalError(absl::StrCat("it takes more than ", limits_.max_steps, " steps"));
  }
  if (steps_ >= next_look_) {
    next_look_ = steps_ + kStepsBetweenLooks;
    if (stop_ != nullptr && stop_->stopped()) return absl::CancelledError("nobody waits for it");
  }
  return absl::OkStatus();
}

absl::Status TemplateRun::ChargeText(const TemplateString& text, size_t bytes) {
  if (text.size() + bytes > limits_.max_output_bytes) {
    return absl::InternalError(absl::StrCat("it writes more than ", limits_.max_output_bytes, " bytes"));
  }
  return ChargeBytes(bytes);
}

TemplateList* TemplateRun::NewList(std::vector<TemplateValue> items, bool is_tuple) {
  return &lists_.emplace_back(TemplateList{std::move(items), is_tuple});
}

absl::StatusOr<TemplateList*> TemplateRun::Iterate(const TemplateValue& value) {
  if (TemplateList* list = value.AsList()) return list;
  std::vector<TemplateValue> items;
  if (const TemplateDict* dict = value.AsDict()) {
    if (absl::Status status = Charge(dict->entries.size() * kStepsPerItem); !status.ok()) return status;
    items.reserve(dict->entries.size());
    for (const auto& [key, unused] : dict->entries) items.push_back(key);
  } else if (const TemplateString* text = value.AsText()) {
    if (absl::Status status = ChargeBytes(text->size()); !status.ok()) return status;
    const size_t characters = CountCharacters(text->text());
    if (absl::Status status = Charge(characters * kStepsPerText); !status.ok()) return status;
    items.reserve(characters);
    for (size_t at = 0; at < text->size();) {
      const size_t next = AdvanceCharacters(text->text(), at, 1);
      items.emplace_back(text->Part(at, next));
      at = next;
    }
  } else if (value.AsUndefined() == nullptr) {
    return absl::InternalError(absl::StrCat("cannot iterate over ", Describe(value)));
  }
  return NewList(std::move(items));
}

}  // namespace predictd
