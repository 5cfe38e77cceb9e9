// Which bytes are text.
#ifndef PREDICTD_CLIENT_PREDICTCTL_UTF8_H_
#define PREDICTD_CLIENT_PREDICTCTL_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace predictd {

// How many bytes the character has that `text` begins with: 1 to 4; 0 if it begins with none.
std::size_t CharacterBytes(absl::string_view text);

bool IsUtf8(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_UTF8_H_
