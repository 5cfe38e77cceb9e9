// What predictctl generate goes on from.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PROMPT_H_
#define PREDICTD_CLIENT_PREDICTCTL_PROMPT_H_

#include <istream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace predictd {

// The argument; or, if there is none or it is "-", all of standard input, less one newline at its end: most programs
// write one, and a model takes it for a part of the text. What is not UTF-8: INVALID_ARGUMENT.
absl::StatusOr<std::string> ReadPrompt(const std::optional<std::string>& argument, std::istream& standard_input);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PROMPT_H_
