// Which bytes are text.
#ifndef PREDICTD_CLIENT_PREDICTCTL_UTF8_H_
#define PREDICTD_CLIENT_PREDICTCTL_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace predictd {

// How many bytes the character at the beginning of `text` has: 1 to 4, or 0 if `text` does not begin with a character.
std::size_t CharacterBytes(absl::string_view text);

bool IsUtf8(absl::string_view text);

// The number of columns on a screen: the bytes of UTF-8 text that do not continue a character.
std::size_t ColumnsOf(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_UTF8_H_
