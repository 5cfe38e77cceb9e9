#include "client/predictctl/context_limit.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace predictd {
namespace {

// What predictd says of a field.
struct Refusal {
  absl::string_view field;
  absl::string_view words;
};

constexpr Refusal kRefusals[] = {
    {"generation.prompt", " tokens, got at least "},
    {"generation.chat", "expected a prompt of fewer than "},
    {"generation.chat.messages", "expected at most "},
    {"generation.max_tokens", "as the prompt has "},
};

}  // namespace

bool IsPromptTooLong(const ErrorDetails& error) {
  if (error.code != absl::StatusCode::kInvalidArgument) return false;
  return std::any_of(error.field_violations.begin(), error.field_violations.end(), [](const FieldViolation& violation) {
    return std::any_of(std::begin(kRefusals), std::end(kRefusals), [&violation](const Refusal& refusal) {
      return absl::EndsWith(violation.field, refusal.field) && absl::StrContains(violation.description, refusal.words);
    });
  });
}

}  // namespace predictd
