// Text from others on a terminal.
#ifndef PREDICTD_CLIENT_PREDICTCTL_TERMINAL_TEXT_H_
#define PREDICTD_CLIENT_PREDICTCTL_TERMINAL_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// The text with every control character except newline and tab, and every byte that is not UTF-8, written out as in
// "\x1b[2J": a model must not be able to move the cursor, rename the window or answer for the user. A text may be
// passed in several pieces, if each ends between characters.
std::string TerminalText(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_TERMINAL_TEXT_H_
