#include "client/predictctl/prompt.h"

#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "client/predictctl/utf8.h"

namespace predictd {

absl::StatusOr<std::string> ReadPrompt(const std::optional<std::string>& argument, std::istream& standard_input) {
  std::string prompt;
  if (argument.has_value() && *argument != "-") {
    prompt = *argument;
  } else {
    prompt.assign(std::istreambuf_iterator<char>(standard_input), std::istreambuf_iterator<char>());
    if (absl::EndsWith(prompt, "\n")) {
      prompt.pop_back();
      if (absl::EndsWith(prompt, "\r")) prompt.pop_back();
    }
  }
  if (!IsUtf8(prompt)) return absl::InvalidArgumentError("the prompt is not UTF-8");
  return prompt;
}

}  // namespace predictd
