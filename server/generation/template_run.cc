#include "server/generation/template_run.h"

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// A millisecond or so.
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

TemplateList* TemplateRun::NewList(std::vector<TemplateValue> items, bool is_tuple) {
  return &lists_.emplace_back(TemplateList{std::move(items), is_tuple});
}

absl::StatusOr<TemplateList*> TemplateRun::Iterate(const TemplateValue& value) {
  if (TemplateList* list = value.AsList()) return list;
  std::vector<TemplateValue> items;
  if (const TemplateDict* dict = value.AsDict()) {
    for (const auto& [key, unused] : dict->entries) items.push_back(key);
  } else if (const TemplateString* text = value.AsText()) {
    if (absl::Status status = Charge(text->size()); !status.ok()) return status;
    for (size_t at = 0; at < text->size();) {
      const size_t next = AdvanceCharacters(text->text(), at, 1);
      items.emplace_back(text->Part(at, next));
      at = next;
    }
  } else if (value.AsUndefined() == nullptr) {
    return absl::InternalError(absl::StrCat("cannot iterate over ", Describe(value)));
  }
  if (absl::Status status = Charge(items.size()); !status.ok()) return status;
  return NewList(std::move(items));
}

}  // namespace predictd
