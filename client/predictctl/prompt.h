// The text that predictctl generate continues.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PROMPT_H_
#define PREDICTD_CLIENT_PREDICTCTL_PROMPT_H_

#include <cstddef>
#include <istream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace predictd {

// The argument; or, if there is none or it is "-", all of standard input without one newline at its end: most programs
// write one, and a model would take it for a part of the text. INVALID_ARGUMENT if the text is not UTF-8 or has more
// than `longest` bytes.
absl::StatusOr<std::string> ReadPrompt(const std::optional<std::string>& argument, std::istream& standard_input,
                                       std::size_t longest);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PROMPT_H_
