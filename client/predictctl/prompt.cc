#include "client/predictctl/prompt.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/utf8.h"

namespace predictd {

absl::StatusOr<std::string> ReadPrompt(const std::optional<std::string>& argument, std::istream& standard_input,
                                       std::size_t longest) {
  std::string prompt;
  if (argument.has_value() && *argument != "-") {
    prompt = *argument;
  } else {
    char block[1 << 16];
    while (prompt.size() <= longest && (standard_input.read(block, sizeof(block)) || standard_input.gcount() > 0)) {
      prompt.append(block, static_cast<std::size_t>(standard_input.gcount()));
    }
    if (absl::EndsWith(prompt, "\n")) {
      prompt.pop_back();
      if (absl::EndsWith(prompt, "\r")) prompt.pop_back();
    }
  }
  if (prompt.size() > longest) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt is longer than ", longest, " bytes (--max-message-bytes)"));
  }
  if (!IsUtf8(prompt)) return absl::InvalidArgumentError("the prompt is not UTF-8");
  return prompt;
}

}  // namespace predictd
